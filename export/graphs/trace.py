"""Traces a torch module into ONNX."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

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
    """The tracer's graphs are faster than torch.export's, with ``eager`` attention."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns about every shape it reads; the proof finds what matters
        torch.onnx.export(
            module.eval(),
            sample,
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=fold_constants,
        )
    onnx.checker.check_model(str(path))
