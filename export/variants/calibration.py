"""What a variant may be fitted to: training rows to see activations of, validation rows to be judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from serving.inference.session import create_session, onnxruntime

if TYPE_CHECKING:
    from export.proof.judge import Judgement


Feeds = list[Mapping[str, npt.NDArray[np.int64]]]
"""Inputs of the graph, a training row each, alone and so without padding."""

ROWS, VALIDATION_ROWS, SEED = 256, 1000, 0


@dataclass(frozen=True)
class Calibration:
    """Read lazily: most variants need none of it, and the rows may lie elsewhere. The test rows are never in it.

    Attributes:
        read: gives the feeds.
        judge: holds the variant, as it lies on disk now, against the checkpoint on the validation rows.
    """

    read: Callable[[], Feeds]
    judge: Callable[[], Judgement]

    @cached_property
    def feeds(self) -> Feeds:
        """ROWS training rows, drawn by SEED; raises InputError where the training rows cannot be read."""
        return self.read()

    @property
    def record(self) -> dict[str, Any]:
        """What the bundle keeps of it."""
        return {"training_rows": len(self.feeds), "seed": SEED, "judged_by": "validation rows"}


def session_of(model: ModelProto) -> onnxruntime.InferenceSession:
    """A session on one thread, so that what is written does not depend on the machine's cores."""
    return create_session(model.SerializeToString(), threads=1, name="model.onnx")
