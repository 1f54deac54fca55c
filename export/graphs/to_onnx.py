"""Two roads to ONNX: TorchScript's tracer, or transformers' exporter where the tracer fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from export.graphs.graph_file import data_file
from export.graphs.positions import freeze_positions
from export.graphs.program import export_program
from export.graphs.trace import trace
from serving.bundle.bundle import GraphFile
from serving.errors import InputError
from serving.inference.session import create_session
from trainer.model.architecture import TESTED

ROADS = {"TorchScript": trace, "torch.export": export_program}
"""In the order they are tried: the tracer's graphs are faster, and made in a tenth of the time."""

TOLERANCE = 1e-3
"""Largest accepted difference, as a share of torch's largest value."""

Samples = Sequence[tuple[Tensor, ...]]


def to_onnx(
    module: nn.Module, samples: Samples, path: Path, *, inputs: list[str], outputs: list[str], **options: Any
) -> None:
    """Convert on the first sample; a model of a family that is not `TESTED` must answer all samples as torch does.

    Raises InputError if no road leads there.
    """
    freeze_positions(module)
    model: Any = module.model
    if model.config.model_type in TESTED:
        trace(module, samples[0], path, inputs=inputs, outputs=outputs, **options)
        return
    reasons = []
    for name, convert in ROADS.items():
        try:
            convert(module, samples[0], path, inputs=inputs, outputs=outputs, **options)
            _compare(module, samples, path, inputs, outputs)
            return
        except Exception as error:  # of either exporter or of onnxruntime: they share no base class
            reasons.append(f"{name}: {first_line(error)}")
    raise InputError(
        f"model: no ONNX graph answers as this model of model_type {model.config.model_type!r} does"
        f" ({'; '.join(reasons)}); choose another base model",
        field="model",
    )


@torch.no_grad()
def _compare(module: nn.Module, samples: Samples, path: Path, inputs: list[str], outputs: list[str]) -> None:
    data = {path.name: path.read_bytes() for path in [data_file(path)] if path.exists()}
    session = create_session(GraphFile(path.name, path.read_bytes(), data), 1)
    taken = {node.name for node in session.get_inputs()}
    for sample in samples:
        feeds = {name: value.numpy() for name, value in zip(inputs, sample, strict=True) if name in taken}
        expected = module(*sample)
        expected = (expected,) if isinstance(expected, Tensor) else expected
        for name, ours, theirs in zip(outputs, session.run(outputs, feeds), expected, strict=True):
            if ours.shape != theirs.shape or not _close(ours, theirs.numpy()):
                raise ValueError(f"{name} differs from torch's for inputs of shape {[*sample[0].shape]}")


def _close(ours: Any, theirs: Any) -> bool:
    if not theirs.size:
        return True
    return bool(np.abs(ours - theirs).max() <= TOLERANCE * max(1.0, float(np.abs(theirs).max())))


def first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no message'}"
