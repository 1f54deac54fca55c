"""Two roads to ONNX: TorchScript's tracer, or transformers' exporter where the tracer fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from export.graphs.positions import freeze_positions
from export.graphs.program import export_program
from export.graphs.trace import Axes, trace
from serving.bundle.bundle import GraphFile
from serving.errors import InputError
from serving.inference.session import create_session
from trainer.model.architecture import TESTED
from trainer.model.heads import has_foreign_head

TRACER = "TorchScript"
ROADS = {TRACER: trace, "torch.export": export_program}
"""In the order they are tried: the tracer's graphs are faster, and made in a tenth of the time."""

TOLERANCE = 1e-3
"""Largest accepted difference, as a share of torch's largest value."""

Samples = Sequence[tuple[Tensor, ...]]


@dataclass(frozen=True)
class Conversion:
    """A module and how its graph is written.

    Attributes:
        samples: an exporter sees the first; the graph is compared with torch on all.
        fold_constants: not for generating models, whose embeddings may also be the output layer: folding would write
            them a second time.
    """

    module: nn.Module
    samples: Samples
    inputs: list[str]
    outputs: list[str]
    axes: Axes
    fold_constants: bool = True

    def write(self, path: Path, road: str) -> None:
        """With a data file, by one of `ROADS`; raises what its exporter raises."""
        freeze_positions(self.module)
        ROADS[road](
            self.module,
            self.samples[0],
            path,
            inputs=self.inputs,
            outputs=self.outputs,
            axes=self.axes,
            fold_constants=self.fold_constants,
        )

    @torch.no_grad()
    def check(self, path: Path) -> None:
        """Raise ValueError unless the graph answers the samples as torch does."""
        session = create_session(GraphFile(path.name, b"", path=path), 1)
        taken = {node.name for node in session.get_inputs()}
        for sample in self.samples:
            feeds = {name: value.numpy() for name, value in zip(self.inputs, sample, strict=True) if name in taken}
            expected = self.module(*sample)
            expected = (expected,) if isinstance(expected, Tensor) else expected
            for name, ours, theirs in zip(self.outputs, session.run(self.outputs, feeds), expected, strict=True):
                if ours.shape != theirs.shape or not _close(ours, theirs.numpy()):
                    raise ValueError(f"{name} differs from torch's for inputs of shape {[*sample[0].shape]}")


def to_onnx(conversion: Conversion, path: Path) -> None:
    """By the tracer; a model of a family that is not `TESTED`, or with a head of a user's own, by the first road whose
    graph answers as torch does.

    Raises InputError if there is none.
    """
    model: Any = conversion.module.model
    if model.config.model_type in TESTED and not has_foreign_head(model):
        conversion.write(path, TRACER)
        return
    reasons = []
    for road in ROADS:
        try:
            conversion.write(path, road)
            conversion.check(path)
            return
        except Exception as error:  # of either exporter or of onnxruntime: they share no base class
            reasons.append(f"{road}: {first_line(error)}")
    raise InputError(
        f"model: no ONNX graph answers as this model of model_type {model.config.model_type!r} does"
        f" ({'; '.join(reasons)}); choose another base model"
        + (", or another model_head.head" if has_foreign_head(model) else ""),
        field="model",
    )


def _close(ours: Any, theirs: Any) -> bool:
    if not theirs.size:
        return True
    return bool(np.abs(ours - theirs).max() <= TOLERANCE * max(1.0, float(np.abs(theirs).max())))


def first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no message'}"
