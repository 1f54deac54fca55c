"""Regression: one number for a text or a pair, in the unit of the training data."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from pydantic import Field

from serving.tasks.activations import LabelScore
from serving.tasks.base import Encoded, Logits
from serving.tasks.inputs import PairSettings, PairTask


class RegressionSettings(PairSettings):
    """The graph's output is standardised; mean and standard deviation give the unit back."""

    mean: float = Field(default=0.0, allow_inf_nan=False, description="of the training targets")
    std: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="standard deviation of the training targets")


class Regression(PairTask):
    """One number a text. The one label is the number's name."""

    name = "regression"
    decides = False
    settings_type = RegressionSettings
    settings: RegressionSettings

    def validate_settings(self) -> str:
        return "" if len(self.labels) == 1 else f"labels: {len(self.labels)} of them; regression has one"

    def decode(self, encoded: Encoded, logits: Sequence[Logits], parameters: Any = None) -> list[LabelScore]:
        """The number, in the shape of Hugging Face's text-classification; ``logits``: one [1]."""
        return [{"label": self.labels[0], "score": float(logits[0][0]) * self.settings.std + self.settings.mean}]

    def decision(self, answer: list[LabelScore]) -> Hashable:
        return None
