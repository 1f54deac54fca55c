"""Keeps a model's weights from torch's tracer, which has no option for it.

It would copy them to infer shapes and to fold constants, and hold the serialized ones three times at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper
from torch import Tensor
from torch.onnx._internal.torchscript_exporter import utils

from export.graphs.graph_file import point


@contextmanager
def weights_apart() -> Iterator[dict[str, Tensor]]:
    """By name, the weights of the graph that is exported meanwhile, whose inputs they become."""
    weights: dict[str, Tensor] = {}
    name_weights, convert, passes = cast(Any, utils._get_named_param_dict), utils._model_to_graph, cast(Any, torch._C)

    def take_weights(*arguments: Any) -> dict[str, Tensor]:
        weights.clear()
        weights.update(name_weights(*arguments))
        return {}

    def convert_apart(*arguments: Any, **options: Any) -> Any:
        graph, _, outputs = convert(*arguments, **options)
        used = passes._jit_pass_onnx_eliminate_unused_items(graph, weights)
        weights.clear()
        weights.update(passes._jit_pass_onnx_deduplicate_initializers(graph, used, False))
        return graph, {}, outputs

    utils._get_named_param_dict, utils._model_to_graph = take_weights, convert_apart
    try:
        yield weights
    finally:
        utils._get_named_param_dict, utils._model_to_graph = name_weights, convert


def attach_weights(model: ModelProto, weights: dict[str, Tensor], folder: Path) -> None:
    """Each as a file of its own in ``folder``, in place of an input; frees them."""
    inputs = [each for each in model.graph.input if each.name not in weights]
    names = [each.name for each in model.graph.input if each.name in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    for number, name in enumerate(names):
        values = np.ascontiguousarray(weights.pop(name).detach().numpy())
        tensor = TensorProto(name=name, dims=values.shape, data_type=helper.np_dtype_to_tensor_dtype(values.dtype))
        if values.nbytes:
            values.tofile(folder / str(number))
            point(tensor, str(number), 0, values.nbytes)
        model.graph.initializer.append(tensor)
    weights.clear()
