"""Sentence vectors, trained on pairs of texts: similar ones get a high cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from serving.tasks import feature_extraction as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows, texts_of
from trainer.data.table import Table
from trainer.metrics.changes import Changes, Side, vector_changes
from trainer.metrics.correlation import pearson, spearman
from trainer.metrics.resampling import WeightedMetric, pearson_of, spearman_of
from trainer.model.base_model import BaseCheckpoint
from trainer.model.heads import pooled_width
from trainer.model.inference import RowLogits
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.soft_answers import VECTORS, SoftAnswers
from trainer.tasks.unscored_pairs import require_scores


class FeatureExtraction(TrainingTask):
    """Trains on pairs; served, it takes single texts."""

    serves = serving.FeatureExtraction
    head = "vector"

    def read_inputs(self, table: Table) -> list[Any]:
        if self.data.text_pair is None and self.recipe.imported is None:
            raise InputError(
                "data.text_pair: missing; feature-extraction learns from pairs of texts and how similar they are, or"
                " under model_head.loss: multiple-negatives-ranking without scores",
                field="data.text_pair",
            )
        return super().read_inputs(table)

    def read_targets(self, table: Table) -> list[Any]:
        require_scores(self, table)
        return columns.numbers(table, "data.label", self.label_column)

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        self._low, self._high = min(train.targets), max(train.targets)
        if self._low == self._high:
            raise InputError(f"{train.name}: every training row has the same similarity; there is nothing to learn")
        return self.draft_settings()

    def draft_settings(self) -> serving.FeatureExtractionSettings:
        """Dimensions are unknown until the model has run: 1 stands in."""
        dims = self.recipe.model_head.matryoshka_dims or ()
        return serving.FeatureExtractionSettings(dimensions=1, matryoshka_dims=dims, **self.text_settings())

    def prepare(self, base: BaseCheckpoint, tokenizer: PreTrainedTokenizerFast) -> None:
        """Raises InputError for sizes that vectors of this model do not have."""
        super().prepare(base, tokenizer)
        dims, width = self.recipe.model_head.matryoshka_dims or (), self._width(base)
        if wrong := [size for size in dims if size >= width]:
            raise InputError(
                f"model_head.matryoshka_dims: {wrong[0]} is no size below the {width} dimensions of {base.id}'s"
                " vectors; give smaller ones",
                field="model_head.matryoshka_dims",
            )

    def _width(self, base: BaseCheckpoint) -> int:
        chosen = self.recipe.model_head.pooling or base.pooling
        pooling = chosen if isinstance(chosen, str) else "+".join(chosen)
        dense = base.modules.dense if pooling == base.pooling else ()
        return dense[-1].out_features if dense else pooled_width(base.config, pooling)

    def has_targets(self, table: Table) -> bool:
        return self.data.text_pair is not None and super().has_targets(table)

    def imported_settings(self, rows: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        return self.draft_settings()

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

    def examples(self, task: Task, encoded: list[Encoded], target: Any) -> list[Example]:
        """Both windows, and the similarity scaled to 0 … 1."""
        left, right = (each.windows[0] for each in encoded)
        return [Example((left, right), (target - self._low) / (self._high - self._low))]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        """Summed over the whole vectors and each size to which they may be cut (Kusupati et al. 2022, Matryoshka)."""
        sizes = (*(self.recipe.model_head.matryoshka_dims or ()), logits.shape[-1])
        return torch.stack([self.vector_loss(logits[:, :size], labels) for size in sizes]).sum()

    def vector_loss(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The sum over the labels; the two vectors of a pair are neighbours."""
        cosines = cosine_similarity(vectors[0::2], vectors[1::2])
        if self.recipe.loss == "cosine":
            return ((cosines - labels) ** 2).sum()
        return len(labels) * cosent(cosines, labels, self.recipe.model_head.scale)

    def soft_answers(self) -> SoftAnswers:
        return VECTORS

    def metrics(self, rows: Rows, answers: Sequence[float]) -> MetricValues:
        expected, answered = np.array(rows.targets), np.array(answers)
        return {"spearman": spearman(expected, answered), "pearson": pearson(expected, answered)}

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[float]) -> WeightedMetric:
        return (pearson_of if metric == "pearson" else spearman_of)(rows.targets, list(answers))

    def changes(self, before: Side, after: Side) -> Changes:
        raw = serving.FeatureExtractionParameters(normalize=False)
        return vector_changes(before.decode(raw), after.decode(raw), self.recipe.model_head.matryoshka_dims or ())


def cosent(cosines: Tensor, labels: Tensor, scale: float) -> Tensor:
    """log(1 + sum of exp(scale (cos_i - cos_j)) over all pairs where j is more similar than i).

    Source: J. Su, "CoSENT: a more effective sentence vector scheme than Sentence-BERT", 2022.
    """
    differences = scale * (cosines[:, None] - cosines[None, :])
    differences = differences[labels[:, None] < labels[None, :]]
    return torch.logsumexp(torch.cat([differences.new_zeros(1), differences]), dim=0)
