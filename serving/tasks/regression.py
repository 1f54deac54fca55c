"""Regression: one number for a text or a pair, in the unit of the training data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, NotRequired

from pydantic import Field

from serving.tasks.activations import SCORE_TENSORS, LabelScore, apply_function
from serving.tasks.base import CutParameters, Datatype, Encoded, Logits, object_schema
from serving.tasks.inputs import PairSettings, PairTask

COVERAGE = 0.9


class RegressionSettings(PairSettings):
    """The graph's output is standardised; mean and standard deviation give the unit back."""

    mean: float = Field(default=0.0, allow_inf_nan=False, description="of the training targets")
    std: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="standard deviation of the training targets")
    radius: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="an answer's low and high are so far from its score; null: answers have neither",
    )
    function_to_apply: Literal["none", "sigmoid"] = Field(
        default="none", description="of the graph's output, before mean and std: a sigmoid gives scores from 0 to 1"
    )
    coverage: float = Field(
        default=COVERAGE,
        gt=0,
        lt=1,
        description="share of right numbers that lie from low to high (split conformal)",
    )


class Estimate(LabelScore):
    """With the ends of its interval, if the settings have a radius."""

    low: NotRequired[float]
    high: NotRequired[float]


class Regression(PairTask):
    """One number a text. The one label is the number's name."""

    name = "regression"
    decides = False
    settings_type = RegressionSettings
    parameters_type = CutParameters
    settings: RegressionSettings

    @property
    def problem_type(self) -> str | None:
        """transformers takes the sigmoid of a lone logit whose type it is not told."""
        return "regression" if self.settings.function_to_apply == "none" else None

    @property
    def unit(self) -> tuple[float, float]:
        return self.settings.mean, self.settings.std

    def validate_settings(self) -> str:
        return "" if len(self.labels) == 1 else f"labels: {len(self.labels)} of them; regression has one"

    @property
    def output_tensors(self) -> Mapping[str, Datatype]:  # type: ignore[override]
        return SCORE_TENSORS if self.settings.radius is None else {**SCORE_TENSORS, "low": "FP32", "high": "FP32"}

    def decode(self, encoded: Encoded, logits: Sequence[Logits], parameters: Any = None) -> list[Estimate]:
        """The number, in the shape of Hugging Face's text-classification; ``logits``: [1] a window."""
        output = float(apply_function(self.merge(logits), self.settings.function_to_apply)[0])
        score, radius = output * self.settings.std + self.settings.mean, self.settings.radius
        answer: Estimate = {"label": self.labels[0], "score": score}
        return [answer if radius is None else {**answer, "low": score - radius, "high": score + radius}]

    def decision(self, answer: list[Estimate]) -> Hashable:
        return None

    def answer_schema(self) -> dict[str, Any]:
        ends = {} if self.settings.radius is None else {end: {"type": "number"} for end in ("low", "high")}
        number = {"label": {"type": "string", "enum": self.labels}, "score": {"type": "number"}, **ends}
        return {"type": "array", "items": object_schema(number)}
