"""Long texts that are classified over windows: what a text's logits are, given those of its windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from serving.tasks.base import Logits

Aggregation = Literal["mean", "max"]


class Windows(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    stride: int = Field(ge=0, description="tokens that neighbouring windows share")
    max_windows: int = Field(ge=2, description="windows of a text that are read; what is behind them is cut off")
    aggregation: Aggregation = Field(
        default="mean", description="what each of a text's logits is of its windows' logits, before calibration"
    )

    def most_tokens(self, content: int) -> int:
        """That all windows hold, of a text; ``content``: of one window, without special tokens."""
        return content + (self.max_windows - 1) * (content - self.stride)


def aggregate(logits: Sequence[Logits], how: Aggregation) -> Logits:
    """[labels] of the text, from one [labels] a window."""
    if len(logits) == 1:
        return logits[0]
    windows = np.stack([each.astype(np.float64) for each in logits])
    result: Logits = (windows.mean(axis=0) if how == "mean" else windows.max(axis=0)).astype(np.float32)
    return result
