"""The data that a variant may be fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from export.proof.judge import Judgement
from serving.inference.session import create_session, onnxruntime

Feeds = list[Mapping[str, npt.NDArray[np.int64]]]
"""The graph's inputs, one training row each, unpadded."""

ROWS, VALIDATION_ROWS, SEED = 256, 1000, 0


@dataclass(frozen=True)
class Calibration:
    """Training and validation rows, read on first use since most variants need none. It never has test rows.

    Attributes:
        read_feeds: gives ROWS training rows, drawn by SEED; raises InputError if they cannot be read.
        judge: compares the variant as written so far with the checkpoint on validation rows.
    """

    read_feeds: Callable[[], Feeds]
    judge: Callable[[], Judgement]

    @cached_property
    def feeds(self) -> Feeds:
        return self.read_feeds()

    def to_record(self) -> dict[str, Any]:
        return {"training_rows": len(self.feeds), "seed": SEED, "judged_by": "validation rows"}


BuildVariant = Callable[[Path, Path, Calibration], dict[str, Any]]
"""Writes a variant of the fp32 graph at the first path to the second; returns facts for ``variants.json``."""


def create_single_thread_session(model: ModelProto) -> onnxruntime.InferenceSession:
    """One thread, so that the written variant does not depend on the machine's cores."""
    return create_session(model.SerializeToString(), threads=1, name="model.onnx")
