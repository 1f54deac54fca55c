"""A cross-encoder, trained on pairs without scores: the right answer to a text scores more than other rows' answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from serving.tasks import regression as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data import columns
from trainer.data.pairs import to_inputs
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


class Reranking(UnscoredPairs, Regression):
    """Scores a row's first text beside its own second one, its hard negatives, and second texts of other rows."""

    def read_inputs(self, table: Table) -> list[Any]:
        """With ``data.sampled_negatives`` further ones, drawn by the row's first text from the file's second texts."""
        inputs = super().read_inputs(table)
        answers = _answers(inputs)
        pool = [inputs[at]["text_pair"] for at in table.usable()]
        return columns.map_rows(table, lambda pair: self._with_sampled(pair, pool, answers), inputs)

    def _with_sampled(self, inputs: dict[str, str], pool: Sequence[str], answers: dict[str, set[str]]) -> Any:
        """A few more are drawn than needed, as some may be right answers."""
        random, wanted = Random(inputs["text"]), self.data.sampled_negatives
        drawn = random.sample(pool, min(len(pool), 4 * wanted))
        wrong = dict.fromkeys(text for text in drawn if normalize(text) not in answers[normalize(inputs["text"])])
        text, text_pair, *hard = inputs.values()
        return to_inputs({"text": text, "text_pair": text_pair}, [*hard, *list(wrong)[:wanted]])

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


def _answers(inputs: Sequence[Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pair in inputs:
        if isinstance(pair, dict):
            found.setdefault(normalize(pair["text"]), set()).add(normalize(pair["text_pair"]))
    return found
