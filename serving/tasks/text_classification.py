"""Text classification: every label and its probability for a text or a pair, in Hugging Face's shape."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from serving.tasks.activations import Function, LabelScore, Scores, apply_function, rank_labels
from serving.tasks.base import CutParameters, Encoded, Logits
from serving.tasks.inputs import PairSettings, PairTask


class TextClassificationSettings(PairSettings):
    one_logit: bool = Field(default=False, description="two labels told apart by one logit, that of the second")
    threshold: float | None = Field(
        default=None, gt=0, lt=1, description="two labels only: the second is answered from this probability on"
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="divides the logits before softmax or sigmoid, so that scores are probabilities; fitted to the"
        " validation rows",
    )


class TextClassificationParameters(CutParameters):
    """As in Hugging Face's text-classification task."""

    top_k: Annotated[int, Field(ge=1, description="how many labels, best first; all of them if absent")] | None = None
    function_to_apply: Function | None = Field(
        default=None, description="what turns logits into scores; absent: softmax"
    )


DEFAULT = TextClassificationParameters()


class TextClassification(PairTask):
    """Exactly one label is right."""

    name = "text-classification"
    score_parameters = frozenset({"function_to_apply"})
    settings_type = TextClassificationSettings
    parameters_type = TextClassificationParameters
    settings: TextClassificationSettings

    @property
    def logits_per_window(self) -> int:
        """One a label, or one for two labels."""
        return 1 if self.settings.one_logit else len(self.labels)

    @property
    def problem_type(self) -> str:
        """A lone logit is a label's own, for transformers too."""
        return "multi_label_classification" if self.settings.one_logit else "single_label_classification"

    def validate_settings(self) -> str:
        if len(self.labels) < 2:
            return f"labels: {len(self.labels)} of them; text-classification tells two or more apart"
        if len(self.labels) > 2 and (self.settings.one_logit or self.settings.threshold is not None):
            return f"settings: one_logit and threshold are about two labels, and there are {len(self.labels)}"
        return ""

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: TextClassificationParameters | None = None
    ) -> list[LabelScore]:
        """The answered label, then the others by falling score; ``logits``: [labels] a window."""
        options, merged = parameters or DEFAULT, self.merge(logits)
        scores = self.scores(merged, options.function_to_apply or "softmax")
        return rank_labels(self.labels, scores, self.order(merged)[: options.top_k])

    def decode_and_change(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: TextClassificationParameters | None
    ) -> list[LabelScore]:
        """Post-processing sees every label, however few are asked for."""
        options = parameters or DEFAULT
        every = self.decode(encoded, logits, options.model_copy(update={"top_k": None}))
        changed: list[LabelScore] = self.postprocess(every, encoded.item)
        return changed[: options.top_k]

    def decision(self, answer: list[LabelScore]) -> Hashable:
        return answer[0]["label"]

    def predicted_labels(self, answer: list[LabelScore]) -> Sequence[str]:
        return (answer[0]["label"],)

    def confidence(self, answer: list[LabelScore]) -> float | None:
        return answer[0]["score"]

    def scores(self, logits: Logits, function: Function = "softmax") -> Scores:
        """[labels]; ``none``: the logits themselves, without temperature."""
        both = _logits_of_both(logits, function) if self.settings.one_logit else logits
        scaled = both if function == "none" else both.astype(np.float64) / self.settings.temperature
        return apply_function(scaled, function)

    def order(self, logits: Logits) -> list[int]:
        """The labels' indices, the answered one first; the same at every temperature."""
        if self.settings.threshold is not None:
            return [1, 0] if self.scores(logits)[1] >= self.settings.threshold else [0, 1]
        both = _logits_of_both(logits, "none") if self.settings.one_logit else logits
        order: list[int] = (-both).argsort(kind="stable").tolist()
        return order


def _logits_of_both(logits: Logits, function: Function) -> Logits:
    """The logit is the log odds of the second label: beside a zero, softmax equals sigmoid."""
    return np.array([-logits[0], logits[0]] if function == "sigmoid" else [0.0, logits[0]], dtype=np.float32)
