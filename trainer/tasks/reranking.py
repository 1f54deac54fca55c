"""A cross-encoder, trained on pairs without scores: the right answer to a text scores more than other rows' answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from serving.tasks import regression as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data.pairs import with_sampled, without_sampled
from trainer.data.rows import Rows, normalize
from trainer.data.table import Table
from trainer.metrics.changes import VALUE, Changes, Side
from trainer.metrics.ranking import Ranks, rank_answers
from trainer.model.inference import RowLogits
from trainer.tasks.base import Example
from trainer.tasks.calibration import Calibrated
from trainer.tasks.regression import Regression
from trainer.tasks.unscored_pairs import UnscoredPairs, right_answers

RELEVANCE = "relevance"

Pool = list[tuple[str, str]]
"""Texts, without case and extra spaces and as they are."""


class Reranking(UnscoredPairs, Regression):
    """Scores a row's first text beside its own second one, its hard negatives, and second texts of other rows."""

    def complete(self, rows: Rows) -> Rows:
        """With ``data.sampled_negatives`` further candidates a row, drawn by its first text.

        They are second texts of these rows alone: those of another side of the split would be right on no row of this
        one, and a model that has learned them so ranks the right answers last.
        """
        pool = list({normalize(text): text for text in rows.targets}.items())
        both = zip(map(without_sampled, rows.inputs), right_answers(rows), strict=True)
        return replace(rows, inputs=[self._with_sampled(inputs, pool, right) for inputs, right in both])

    def _with_sampled(self, inputs: dict[str, str], pool: Pool, right: set[str]) -> dict[str, str]:
        """As many more are drawn as may be none: right answers, and candidates that are there."""
        known = right | {normalize(text) for text in inputs.values()}
        wanted = self.data.sampled_negatives
        drawn = Random(inputs["text"]).sample(pool, min(len(pool), wanted + len(known)))
        return with_sampled(inputs, [text for key, text in drawn if key not in known][:wanted])

    def label_names(self, train: Rows, table: Table) -> list[str]:
        return [RELEVANCE]

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """Scores from 0 to 1, as sentence-transformers' cross-encoders of one label give them."""
        self.require_answers(train)
        return serving.RegressionSettings(**self.pair_settings(max_length), function_to_apply="sigmoid")

    def calibrate(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Calibrated | None:
        """Ranks have no right number."""
        return None

    @property
    def calibrates(self) -> bool:
        return False

    def items(self, task: Task, inputs: Any) -> list[Any]:
        """The right answer first."""
        text, *candidates = inputs.values()
        return [task.check({"text": text, "text_pair": each}) for each in candidates]

    def answer(self, answers: list[Any]) -> list[float]:
        """The scores of the row's candidates."""
        return [each[0]["score"] for each in answers]

    def examples(self, task: Task, encoded: list[Encoded], target: str) -> list[Example]:
        return [Example((each.windows[0],), [float(at == 0)]) for at, each in enumerate(encoded)]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        return binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="sum")

    def ranked(self, rows: Rows, answers: Sequence[Any]) -> Iterator[tuple[Ranks, str]]:
        """Among the row's own candidates."""
        for inputs, right, scores in zip(rows.inputs, right_answers(rows), answers, strict=True):
            texts = list(inputs.values())[1:]
            places = [at for at, text in enumerate(texts) if normalize(text) in right]
            yield rank_answers(np.asarray(scores), places), texts[int(np.argmax(scores))]

    def changes(self, before: Side, after: Side) -> Changes:
        scores = (side.decode()[0]["score"] for side in (before, after))
        return {VALUE: np.abs(np.diff(list(scores)))}
