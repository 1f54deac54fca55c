"""Traces a torch module into ONNX."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from export.graphs.graph_file import data_file, fold_transposes, load_graph, move_tensors
from export.graphs.weights_apart import attach_weights, weights_apart

OPSET = 17
"""The first opset with LayerNormalization as one operator."""

Axes = dict[str, dict[int, str]]
"""By tensor, the names of its free axes."""


def trace(
    module: nn.Module,
    sample: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: list[str],
    outputs: list[str],
    axes: Axes,
    fold_constants: bool = True,
) -> None:
    """A graph with a data file. The tracer's are faster than torch.export's, with ``eager`` attention."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings(), torch.no_grad():
        traced = Path(folder) / path.name
        warnings.simplefilter("ignore")  # the tracer warns about every shape it reads; the proof finds what matters
        with weights_apart() as weights:
            torch.onnx.export(
                module.eval(),
                sample,
                str(traced),
                input_names=inputs,
                output_names=outputs,
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
                do_constant_folding=fold_constants,
            )
        onnx.checker.check_model(str(traced))
        _collect(traced, weights, path)


def _collect(traced: Path, weights: dict[str, Tensor], path: Path) -> None:
    model = load_graph(traced)
    attach_weights(model, weights, traced.parent)
    fold_transposes(model, traced.parent)
    move_tensors(model, data_file(path), traced.parent)
    path.write_bytes(model.SerializeToString())
