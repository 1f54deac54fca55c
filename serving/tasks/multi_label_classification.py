"""Multi-label classification: a text in, each label that reaches its own threshold out, none, one or several."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from serving.tasks import base
from serving.tasks.activations import LabelScore, apply_function, ranked, scores_schema
from serving.tasks.base import Datatype, Encoded, Logits, Segments, Task
from serving.tasks.inputs import Clip, check_segments, clip_text, segments_schema

Probability = Annotated[float, Field(ge=0, le=1)]


class MultiLabelSettings(base.TaskSettings):
    """How a multi-label classifier's logits are read."""

    pair: bool = Field(default=False, description="whether an input is two texts")
    clip: Clip = None
    thresholds: list[Probability] = Field(
        default=[], description="a label is answered from this probability on; in the order of the labels"
    )


class MultiLabelParameters(base.TaskParameters):
    """What a caller may ask for."""

    top_k: Annotated[int, Field(ge=1, description="at most so many labels, best first")] | None = None
    threshold: (
        Annotated[float, Field(ge=0, le=1, description="one for all labels, in place of the tuned ones")] | None
    ) = None
    function_to_apply: Literal["sigmoid", "none"] | None = Field(
        default=None, description="what turns logits into scores; absent: sigmoid. Thresholds are probabilities anyway"
    )


DEFAULT = MultiLabelParameters()


class MultiLabelClassification(Task):
    """Any number of the labels is right; each is decided by itself."""

    name = "multi-label-classification"
    output_tensors: ClassVar[Mapping[str, Datatype]] = {"label": "BYTES", "score": "FP32"}
    score_parameters = frozenset({"top_k", "threshold", "function_to_apply"})
    settings_type: ClassVar[type[base.TaskSettings]] = MultiLabelSettings
    parameters_type: ClassVar[type[base.TaskParameters]] = MultiLabelParameters
    settings: MultiLabelSettings

    def validate_settings(self) -> str:
        """A threshold a label, or none at all."""
        found, wanted = len(self.settings.thresholds), len(self.labels)
        if not wanted:
            return "labels: there are none"
        return f"settings.thresholds: {found} of them for {wanted} labels" if found not in (0, wanted) else ""

    def check(self, inputs: Any, field: str = "inputs") -> Segments:
        """A text, or ``{"text", "text_pair"}`` where the model was trained on pairs; raises InputError."""
        return check_segments(inputs, field, self.limits, pair=self.settings.pair)

    def segments(self, item: Segments) -> Segments:
        """The item is its own segments, clipped where it is a pair."""
        return clip_text(item, self.settings.clip)

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: MultiLabelParameters | None = None
    ) -> list[LabelScore]:
        """The labels at or above their thresholds, best first; ``logits`` hold one array [labels]."""
        options = parameters or DEFAULT
        chances = apply_function(logits[0], "sigmoid")
        best = np.argsort(-chances, kind="stable")
        order = [index for index in best if chances[index] >= self._threshold(index, options)][: options.top_k]
        return ranked(self.labels, apply_function(logits[0], options.function_to_apply or "sigmoid"), order)

    def decision(self, answer: list[LabelScore]) -> Hashable:
        """The set of answered labels."""
        return frozenset(self.predicted_labels(answer))

    def predicted_labels(self, answer: list[LabelScore]) -> Sequence[str]:
        """The answered labels."""
        return [each["label"] for each in answer]

    def confidence(self, answer: list[LabelScore]) -> float | None:
        """The best score, where there is one."""
        return answer[0]["score"] if answer else None

    def input_schema(self) -> dict[str, Any]:
        """A text, or an object of two."""
        return segments_schema(self.limits, pair=self.settings.pair)

    def answer_schema(self) -> dict[str, Any]:
        """A list of labels and scores."""
        return scores_schema(self.labels)

    def _threshold(self, index: int, options: MultiLabelParameters) -> float:
        if options.threshold is not None:
            return options.threshold
        return self.settings.thresholds[index] if self.settings.thresholds else 0.5
