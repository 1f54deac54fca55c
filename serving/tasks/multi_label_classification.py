"""Multi-label classification: a text in, each label that reaches its own threshold out, none, one or several."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from serving.tasks import base
from serving.tasks.base import Datatype, Encoded, Logits, Segments, Task
from serving.tasks.scores import LabelScore, apply_function, ranked, scores_schema
from serving.tasks.texts import Clip, check_segments, clipped, segments_schema

Probability = Annotated[float, Field(ge=0, le=1)]


class Settings(base.Settings):
    """How a multi-label classifier's logits are read."""

    pair: bool = Field(default=False, description="whether an input is two texts")
    clip: Clip = None
    thresholds: list[Probability] = Field(
        default=[], description="a label is answered from this probability on; in the order of the labels"
    )


class Parameters(base.Parameters):
    """What a caller may ask for."""

    top_k: Annotated[int, Field(ge=1, description="at most so many labels, best first")] | None = None
    threshold: (
        Annotated[float, Field(ge=0, le=1, description="one for all labels, in place of the tuned ones")] | None
    ) = None
    function_to_apply: Literal["sigmoid", "none"] | None = Field(
        default=None, description="what turns logits into scores; absent: sigmoid. Thresholds are probabilities anyway"
    )


DEFAULT = Parameters()


class MultiLabelClassification(Task):
    """Any number of the labels is right; each is decided by itself."""

    name = "multi-label-classification"
    columns: ClassVar[Mapping[str, Datatype]] = {"label": "BYTES", "score": "FP32"}
    altered_by = frozenset({"top_k", "threshold", "function_to_apply"})
    settings_type: ClassVar[type[base.Settings]] = Settings
    parameters_type: ClassVar[type[base.Parameters]] = Parameters
    settings: Settings

    def misfit(self) -> str:
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
        return clipped(item, self.settings.clip)

    def decode(
        self, encoded: Encoded, logits: Sequence[Logits], parameters: Parameters | None = None
    ) -> list[LabelScore]:
        """The labels at or above their thresholds, best first; ``logits`` hold one array [labels]."""
        wish = parameters or DEFAULT
        chances = apply_function(logits[0], "sigmoid")
        best = np.argsort(-chances, kind="stable")
        order = [index for index in best if chances[index] >= self._threshold(index, wish)][: wish.top_k]
        return ranked(self.labels, apply_function(logits[0], wish.function_to_apply or "sigmoid"), order)

    def decision(self, answer: list[LabelScore]) -> Hashable:
        """The set of answered labels."""
        return frozenset(self.outcomes(answer))

    def outcomes(self, answer: list[LabelScore]) -> Sequence[str]:
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

    def _threshold(self, index: int, wish: Parameters) -> float:
        if wish.threshold is not None:
            return wish.threshold
        return self.settings.thresholds[index] if self.settings.thresholds else 0.5
