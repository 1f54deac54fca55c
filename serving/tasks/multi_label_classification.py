"""Multi-label classification: every label whose probability reaches its threshold; none, one or several."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from serving.tasks.activations import LabelScore, Scores, apply_function, rank_labels
from serving.tasks.base import CutParameters, Encoded, Logits
from serving.tasks.inputs import PairSettings, PairTask

Probability = Annotated[float, Field(ge=0, le=1)]
Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bias = Annotated[float, Field(allow_inf_nan=False)]


class MultiLabelSettings(PairSettings):
    thresholds: list[Probability] = Field(
        default=[], description="a label is answered from this probability on; in the order of the labels"
    )
    scales: list[Scale] = Field(
        default=[],
        description="a label's probability is the sigmoid of its scale times its logit plus its bias; fitted to the"
        " validation rows",
    )
    biases: list[Bias] = Field(default=[], description="see scales")


class MultiLabelParameters(CutParameters):
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

    @property
    def problem_type(self) -> str:
        return "multi_label_classification"

    def validate_settings(self) -> str:
        wanted = len(self.labels)
        if not wanted:
            return "labels: there are none"
        if len(self.settings.scales) != len(self.settings.biases):
            return "settings: scales and biases differ in number"
        found = {name: len(getattr(self.settings, name)) for name in ("thresholds", "scales", "biases")}
        wrong = [
            f"settings.{name}: {count} of them for {wanted} labels"
            for name, count in found.items()
            if count not in (0, wanted)
        ]
        return wrong[0] if wrong else ""

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: MultiLabelParameters | None = None
    ) -> list[LabelScore]:
        """The labels at or above their thresholds, best first; ``logits``: [labels] a window."""
        options, merged = parameters or DEFAULT, self.merge(logits)
        probabilities = self.probabilities(merged)
        best = np.argsort(-probabilities, kind="stable")
        order = [index for index in best if probabilities[index] >= self._threshold(index, options)][: options.top_k]
        scores = apply_function(merged, "none") if options.function_to_apply == "none" else probabilities
        return rank_labels(self.labels, scores, order)

    def answered(self, probabilities: Scores) -> npt.NDArray[np.bool_]:
        """Which labels reach their own thresholds."""
        return np.asarray(probabilities >= np.array(self.settings.thresholds or 0.5))

    def probabilities(self, logits: Logits) -> Scores:
        """Calibrated, [labels]."""
        if not self.settings.scales:
            return apply_function(logits, "sigmoid")
        scaled = np.array(self.settings.scales) * logits.astype(np.float64) + np.array(self.settings.biases)
        return apply_function(scaled, "sigmoid")

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
