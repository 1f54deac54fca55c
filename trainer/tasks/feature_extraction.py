"""Sentence vectors, trained on pairs of texts: similar ones get a high cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from serving.errors import InputError
from serving.tasks import feature_extraction as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from serving.tasks.redaction import to_settings
from trainer.data import columns
from trainer.data.rows import Rows, texts_of
from trainer.data.table import Table
from trainer.metrics.changes import Changes, Side, vector_changes
from trainer.metrics.correlation import pearson, spearman
from trainer.metrics.resampling import WeightedMetric, pearson_of, spearman_of
from trainer.model.inference import RowLogits
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.soft_answers import VECTORS, SoftAnswers

SCALE = 20.0
"""CoSENT's inverse temperature, as its author and sentence-transformers use it."""


class FeatureExtraction(TrainingTask):
    """Trains on pairs; served, it takes single texts."""

    serves = serving.FeatureExtraction
    head = "vector"

    def read_inputs(self, table: Table) -> list[Any]:
        if self.data.text_pair is None and self.recipe.imported is None:
            raise InputError(
                "data.text_pair: missing; feature-extraction learns from pairs of texts and how similar they are",
                field="data.text_pair",
            )
        return super().read_inputs(table)

    def read_targets(self, table: Table) -> list[Any]:
        return columns.numbers(table, "data.label", self.label_column)

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """Dimensions are unknown until the model has run: 1 stands in."""
        self._low, self._high = min(train.targets), max(train.targets)
        if self._low == self._high:
            raise InputError(f"{train.name}: every training row has the same similarity; there is nothing to learn")
        return serving.FeatureExtractionSettings(dimensions=1, **to_settings(self.data.redact))

    def has_targets(self, table: Table) -> bool:
        return self.data.text_pair is not None and super().has_targets(table)

    def imported_settings(self, rows: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """With a dimension for now, as above."""
        return serving.FeatureExtractionSettings(dimensions=1, **to_settings(self.data.redact))

    def tune_settings(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> TaskSettings:
        return task.settings.model_copy(update={"dimensions": len(logits[0][0])})

    def items(self, task: Task, inputs: dict[str, str]) -> list[Any]:
        return [task.check(text) for text in texts_of(inputs)]

    def answer(self, answers: list[list[float]]) -> float:
        """The cosine of the two vectors; of a lone text, which has no metric, the vector."""
        if len(answers) == 1:
            return answers[0]  # type: ignore[return-value]
        left, right = (np.asarray(answer) for answer in answers)
        return float(left @ right / max(float(np.linalg.norm(left) * np.linalg.norm(right)), 1e-12))

    def examples(self, task: Task, encoded: list[Encoded], target: float) -> list[Example]:
        """Both windows, and the similarity scaled to 0 … 1."""
        left, right = (each.windows[0] for each in encoded)
        return [Example((left, right), (target - self._low) / (self._high - self._low))]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        cosines = cosine_similarity(logits[0::2], logits[1::2])
        if self.recipe.loss == "cosine":
            return ((cosines - labels) ** 2).sum()
        return len(labels) * cosent(cosines, labels)

    def soft_answers(self) -> SoftAnswers:
        return VECTORS

    def metrics(self, rows: Rows, answers: Sequence[float]) -> MetricValues:
        expected, answered = np.array(rows.targets), np.array(answers)
        return {"spearman": spearman(expected, answered), "pearson": pearson(expected, answered)}

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[float]) -> WeightedMetric:
        return (pearson_of if metric == "pearson" else spearman_of)(rows.targets, list(answers))

    def changes(self, before: Side, after: Side) -> Changes:
        raw = serving.FeatureExtractionParameters(normalize=False)
        return vector_changes(before.decode(raw), after.decode(raw))


def cosent(cosines: Tensor, labels: Tensor) -> Tensor:
    """log(1 + sum of exp(20 (cos_i - cos_j)) over all pairs where j is more similar than i).

    Source: J. Su, "CoSENT: a more effective sentence vector scheme than Sentence-BERT", 2022.
    """
    differences = SCALE * (cosines[:, None] - cosines[None, :])
    differences = differences[labels[:, None] < labels[None, :]]
    return torch.logsumexp(torch.cat([differences.new_zeros(1), differences]), dim=0)
