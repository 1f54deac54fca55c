"""A variant: the smallest weights of each matrix are zero. tuneship export RUN --variant sparse --output BUNDLE"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from export.graphs.graph_file import load_graph, read_tensor, save_graph
from export.variants.calibration import Calibration
from export.variants.own_variant import OwnVariant

SHARE = 0.02
"""Of a matrix's weights, that become zero."""


def build(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """``calibration`` has training rows, for variants that are fitted to some."""
    model = load_graph(source)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2:
            weights = read_tensor(tensor, source.parent).copy()
            weights[np.abs(weights) < np.quantile(np.abs(weights), SHARE)] = 0
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    save_graph(model, target, source)
    return {"zeros": SHARE}


SPARSE = OwnVariant(
    about=f"{SHARE:.0%} of the weights are zero", build=build,
    exact=False, row_independent=True, golden_tolerance=1e-3, depends_on=(),
)  # fmt: skip
