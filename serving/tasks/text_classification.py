"""Text classification: a text or a pair in, each label and its probability out, in Hugging Face's inference shape."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from serving.tasks import base
from serving.tasks.activations import Function, LabelScore, Scores, apply_function, ranked, scores_schema
from serving.tasks.base import Datatype, Encoded, Logits, Segments, Task
from serving.tasks.inputs import Clip, check_segments, clip_text, segments_schema


class TextClassificationSettings(base.TaskSettings):
    """How a classifier's logits are read."""

    pair: bool = Field(default=False, description="whether an input is two texts")
    clip: Clip = None
    one_logit: bool = Field(default=False, description="two labels told apart by one logit, that of the second")
    threshold: float | None = Field(
        default=None, gt=0, lt=1, description="two labels only: the second is answered from this probability on"
    )


class TextClassificationParameters(base.TaskParameters):
    """What a caller may ask for, as Hugging Face's text-classification task names it."""

    top_k: Annotated[int, Field(ge=1, description="how many labels, best first; all of them if absent")] | None = None
    function_to_apply: Function | None = Field(
        default=None, description="what turns logits into scores; absent: softmax"
    )


DEFAULT = TextClassificationParameters()


class TextClassification(Task):
    """Exactly one of the labels is right."""

    name = "text-classification"
    output_tensors: ClassVar[Mapping[str, Datatype]] = {"label": "BYTES", "score": "FP32"}
    score_parameters = frozenset({"function_to_apply"})
    settings_type: ClassVar[type[base.TaskSettings]] = TextClassificationSettings
    parameters_type: ClassVar[type[base.TaskParameters]] = TextClassificationParameters
    settings: TextClassificationSettings

    @property
    def logits_per_window(self) -> int:
        """One a label, or one for two labels."""
        return 1 if self.settings.one_logit else len(self.labels)

    def validate_settings(self) -> str:
        """There are two labels to tell apart at least; some settings are about two."""
        if len(self.labels) < 2:
            return f"labels: {len(self.labels)} of them; text-classification tells two or more apart"
        if len(self.labels) > 2 and (self.settings.one_logit or self.settings.threshold is not None):
            return f"settings: one_logit and threshold are about two labels, and there are {len(self.labels)}"
        return ""

    def check(self, inputs: Any, field: str = "inputs") -> Segments:
        """A text, or ``{"text", "text_pair"}`` where the model was trained on pairs; raises InputError."""
        return check_segments(inputs, field, self.limits, pair=self.settings.pair)

    def segments(self, item: Segments) -> Segments:
        """The item is its own segments, clipped where it is a pair."""
        return clip_text(item, self.settings.clip)

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: TextClassificationParameters | None = None
    ) -> list[LabelScore]:
        """Every label, the answered one first, the others by falling score; ``logits`` hold one array [labels]."""
        options = parameters or DEFAULT
        scores = self._scores(logits[0], options.function_to_apply or "softmax")
        order = (-scores).argsort(kind="stable").tolist()
        return ranked(self.labels, scores, self._answered_first(logits[0], order)[: options.top_k])

    def decision(self, answer: list[LabelScore]) -> Hashable:
        """The answered label."""
        return answer[0]["label"]

    def predicted_labels(self, answer: list[LabelScore]) -> Sequence[str]:
        """The answered label."""
        return (answer[0]["label"],)

    def confidence(self, answer: list[LabelScore]) -> float | None:
        """The answered label's score."""
        return answer[0]["score"]

    def input_schema(self) -> dict[str, Any]:
        """A text, or an object of two."""
        return segments_schema(self.limits, pair=self.settings.pair)

    def answer_schema(self) -> dict[str, Any]:
        """A list of labels and scores."""
        return scores_schema(self.labels)

    def _scores(self, logits: Logits, function: Function) -> Scores:
        if not self.settings.one_logit:
            return apply_function(logits, function)
        # The logit is the log odds of the second label: beside a zero, softmax and sigmoid say the same.
        both = np.array([-logits[0], logits[0]] if function == "sigmoid" else [0.0, logits[0]], dtype=np.float32)
        return apply_function(both, function)

    def _answered_first(self, logits: Logits, order: list[int]) -> list[int]:
        threshold = self.settings.threshold
        if threshold is None:
            return order
        return [1, 0] if self._scores(logits, "softmax")[1] >= threshold else [0, 1]
