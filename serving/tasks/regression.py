"""Regression: a text or a pair in, one number out, in the unit of the training data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from serving.tasks import base
from serving.tasks.activations import LabelScore, scores_schema
from serving.tasks.base import Datatype, Encoded, Logits, Segments, Task
from serving.tasks.inputs import Clip, check_segments, clip_text, segments_schema


class RegressionSettings(base.TaskSettings):
    """The graph gives a standard score; these turn it back into the data's own unit."""

    pair: bool = Field(default=False, description="whether an input is two texts")
    clip: Clip = None
    mean: float = Field(default=0.0, allow_inf_nan=False, description="of the training targets")
    std: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="standard deviation of the training targets")


class Regression(Task):
    """One number a text. Its only label is the name of what is predicted."""

    name = "regression"
    output_tensors: ClassVar[Mapping[str, Datatype]] = {"label": "BYTES", "score": "FP32"}
    settings_type: ClassVar[type[base.TaskSettings]] = RegressionSettings
    settings: RegressionSettings

    def validate_settings(self) -> str:
        """Its one label names the number."""
        return "" if len(self.labels) == 1 else f"labels: {len(self.labels)} of them; regression has one"

    def check(self, inputs: Any, field: str = "inputs") -> Segments:
        """A text, or ``{"text", "text_pair"}`` where the model was trained on pairs; raises InputError."""
        return check_segments(inputs, field, self.limits, pair=self.settings.pair)

    def segments(self, item: Segments) -> Segments:
        """The item is its own segments, clipped where it is a pair."""
        return clip_text(item, self.settings.clip)

    def decode(self, encoded: Encoded, logits: Sequence[Logits], parameters: Any = None) -> list[LabelScore]:
        """The number, in the shape that Hugging Face's text-classification gives regressions; ``logits``: one [1]."""
        return [{"label": self.labels[0], "score": float(logits[0][0]) * self.settings.std + self.settings.mean}]

    def decision(self, answer: list[LabelScore]) -> Hashable:
        """There is nothing but the number, and the bound on logits is what holds it."""
        return None

    def input_schema(self) -> dict[str, Any]:
        """A text, or an object of two."""
        return segments_schema(self.limits, pair=self.settings.pair)

    def answer_schema(self) -> dict[str, Any]:
        """A list of one label and its number."""
        return scores_schema(self.labels)
