"""Data that a variant may be fitted to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from export.proof.prove import Judgement
from serving.bundle.bundle import GraphFile
from serving.inference.session import create_session, onnxruntime

Feeds = list[Mapping[str, npt.NDArray[np.int64]]]
"""The graph's inputs, one training row each, unpadded."""

ROWS, VALIDATION_ROWS, SEED = 256, 1000, 0


@dataclass(frozen=True)
class Calibration:
    """Training and validation rows, never test rows; of a private run, validation rows alone.

    Attributes:
        read_feeds: ROWS rows, drawn by SEED; raises InputError.
        split: whose rows these are.
        judge: compares the variant as written so far with the checkpoint.
    """

    read_feeds: Callable[[], Feeds]
    judge: Callable[[], Judgement]
    split: str = "training"

    @cached_property
    def feeds(self) -> Feeds:
        return self.read_feeds()


BuildVariant = Callable[[Path, Path, Calibration], dict[str, Any]]
"""Writes a variant of the fp32 graph at the first path to the second; returns facts for ``variants.json``."""


def create_single_thread_session(model: ModelProto, folder: Path | None = None) -> onnxruntime.InferenceSession:
    """Independent of the machine's cores; ``folder`` has the data file, if there is one."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".onnx") as file:
        file.write(model.SerializeToString())
        file.flush()
        del model  # a copy that was made for this session is freed before onnxruntime makes its own
        return create_session(GraphFile("model.onnx", b"", path=Path(file.name)), threads=1)
