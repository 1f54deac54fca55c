"""Multi-label classification: every label whose probability reaches its threshold; none, one or several."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from serving.tasks.activations import LabelScore, apply_function, rank_labels
from serving.tasks.base import Encoded, Logits, TaskParameters
from serving.tasks.inputs import PairSettings, PairTask

Probability = Annotated[float, Field(ge=0, le=1)]


class MultiLabelSettings(PairSettings):
    thresholds: list[Probability] = Field(
        default=[], description="a label is answered from this probability on; in the order of the labels"
    )


class MultiLabelParameters(TaskParameters):
    """What a request may set."""

    top_k: Annotated[int, Field(ge=1, description="at most so many labels, best first")] | None = None
    threshold: (
        Annotated[float, Field(ge=0, le=1, description="one for all labels, in place of the tuned ones")] | None
    ) = None
    function_to_apply: Literal["sigmoid", "none"] | None = Field(
        default=None, description="what turns logits into scores; absent: sigmoid. Thresholds are always probabilities"
    )


DEFAULT = MultiLabelParameters()


class MultiLabelClassification(PairTask):
    """Any number of labels is right; each is decided independently."""

    name = "multi-label-classification"
    score_parameters = frozenset({"top_k", "threshold", "function_to_apply"})
    settings_type = MultiLabelSettings
    parameters_type = MultiLabelParameters
    settings: MultiLabelSettings

    def validate_settings(self) -> str:
        found, wanted = len(self.settings.thresholds), len(self.labels)
        if not wanted:
            return "labels: there are none"
        return f"settings.thresholds: {found} of them for {wanted} labels" if found not in (0, wanted) else ""

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: MultiLabelParameters | None = None
    ) -> list[LabelScore]:
        """The labels at or above their thresholds, best first; ``logits``: one [labels]."""
        options = parameters or DEFAULT
        probabilities = apply_function(logits[0], "sigmoid")
        best = np.argsort(-probabilities, kind="stable")
        order = [index for index in best if probabilities[index] >= self._threshold(index, options)][: options.top_k]
        return rank_labels(self.labels, apply_function(logits[0], options.function_to_apply or "sigmoid"), order)

    def decision(self, answer: list[LabelScore]) -> Hashable:
        return frozenset(self.predicted_labels(answer))

    def predicted_labels(self, answer: list[LabelScore]) -> Sequence[str]:
        return [each["label"] for each in answer]

    def confidence(self, answer: list[LabelScore]) -> float | None:
        return answer[0]["score"] if answer else None

    def _threshold(self, index: int, options: MultiLabelParameters) -> float:
        if options.threshold is not None:
            return options.threshold
        return self.settings.thresholds[index] if self.settings.thresholds else 0.5
