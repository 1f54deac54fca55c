"""The other road to ONNX: torch.export under transformers' own exporter, which knows its models' untraceable places."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import onnx
import onnx_ir
import torch
from torch import Tensor, nn
from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter

from export.graphs.graph_file import data_file
from export.graphs.trace import Axes

PROGRAM_OPSET = 18
"""The first that torch.export writes."""


def export_program(
    module: nn.Module,
    sample: tuple[Tensor, ...],
    path: Path,
    *,
    inputs: list[str],
    outputs: list[str],
    axes: Axes,
    fold_constants: bool = True,
) -> None:
    """As `trace`; a weight that is read twice is written once, whether constants are folded or not."""
    with _quiet(), torch.no_grad():
        names = {f"input_{number}": name for number, name in enumerate(inputs)}  # torch.export wants identifiers
        shapes = {at: dict.fromkeys(axes.get(name, {}), torch.export.Dim.DYNAMIC) for at, name in names.items()}
        program, _ = OnnxExporter().export_program(
            _Named(module.eval(), outputs),
            dict(zip(names, sample, strict=True)),
            OnnxConfig(dynamic=True, dynamic_shapes=shapes, opset_version=PROGRAM_OPSET),
        )
        for value in program.graph.inputs:
            value.name = names[value.name]
        onnx_ir.save(program, str(path), external_data=data_file(path).name)
    onnx.checker.check_model(str(path))


class _Named(nn.Module):
    """Inputs by name, in order; outputs by name."""

    def __init__(self, module: nn.Module, outputs: list[str]) -> None:
        super().__init__()
        self.module, self.outputs = module, outputs

    def forward(self, **tensors: Tensor) -> dict[str, Tensor]:
        results: Any = self.module(*tensors.values())
        return dict(zip(self.outputs, (results,) if isinstance(results, Tensor) else results, strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """torch.export and onnxscript log and print each step."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
