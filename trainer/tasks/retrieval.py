"""Sentence vectors, trained on pairs without scores: a text's vector is nearest to that of its answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data.rows import Rows, normalize
from trainer.data.table import Table
from trainer.metrics.ranking import Ranks, rank_by_cosine
from trainer.tasks.base import Example
from trainer.tasks.feature_extraction import FeatureExtraction
from trainer.tasks.ranking_loss import ranking_loss, text_id
from trainer.tasks.unscored_pairs import UnscoredPairs, right_answers


class Retrieval(UnscoredPairs, FeatureExtraction):
    """Each row's first text is a query; all second texts and hard negatives of the rows are what it searches."""

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        self.require_answers(train)
        return self.draft_settings()

    def has_targets(self, table: Table) -> bool:
        return True

    def items(self, task: Task, inputs: dict[str, str]) -> list[Any]:
        """Hard negatives too."""
        return [task.check(text) for text in inputs.values()]

    def answer(self, answers: list[list[float]]) -> Any:
        """The texts' vectors [texts, dimensions], float32."""
        return np.asarray(answers, dtype=np.float32)

    def examples(self, task: Task, encoded: list[Encoded], target: str) -> list[Example]:
        """All the row's windows, and what tells its texts apart."""
        return [Example(tuple(each.windows[0] for each in encoded), [text_id(each.item) for each in encoded])]

    def text_ids(self, example: Example) -> Collection[int]:
        return example.label  # type: ignore[no-any-return]

    def counted(self, labels: Tensor) -> Tensor:
        """One of each example, however many texts it has."""
        return labels.amax(dim=1)

    def vector_loss(self, vectors: Tensor, labels: Tensor) -> Tensor:
        head = self.recipe.model_head
        return ranking_loss(vectors, labels, scale=head.scale, symmetric=head.symmetric)

    def ranked(self, rows: Rows, answers: Sequence[Any]) -> Iterator[tuple[Ranks, str]]:
        """By cosine, among the distinct texts."""
        documents: dict[str, tuple[int, str]] = {}
        vectors = list[Any]()
        for inputs, found in zip(rows.inputs, answers, strict=True):
            for text, vector in zip([*inputs.values()][1:], np.asarray(found)[1:], strict=True):
                if normalize(text) not in documents:
                    documents[normalize(text)] = len(vectors), text
                    vectors.append(vector)
        right = [[documents[text][0] for text in texts] for texts in right_answers(rows)]
        texts = [text for _, text in documents.values()]
        queries = np.stack([np.asarray(found)[0] for found in answers])
        for ranks, scores in rank_by_cosine(queries, np.stack(vectors), right):
            yield ranks, texts[int(scores.argmax())]

    def cut_answers(self, answers: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        dims = self.recipe.model_head.matryoshka_dims or ()
        return {f"{size} dimensions": [np.asarray(each)[:, :size] for each in answers] for size in dims}

    def details(self, rows: Rows, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, Any]:
        """The metrics of vectors that are cut to each trained size."""
        cut = {name: self._figures(rows, some) for name, some in self.cut_answers(answers).items()}
        return {"cut": cut} if cut else {}

    def _figures(self, rows: Rows, answers: Sequence[Any]) -> dict[str, Any]:
        intervals = {f"{name}_interval_95": list(ends) for name, ends in self.intervals(rows, answers).items()}
        return {"rows": len(rows), **self.metrics(rows, answers), **intervals}
