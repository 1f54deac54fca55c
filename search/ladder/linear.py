"""A linear model of scikit-learn on some vectors of the texts, that answers as a fine-tuned one does.

Its logits are decoded by the task itself, with thresholds tuned on validation as after a training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier

from serving.tasks.base import Encoded
from trainer.data.rows import Rows
from trainer.fit.few_shot import INVERSE_REGULARIZATION
from trainer.fit.score import Score, score_answers
from trainer.metrics.resampling import indicators
from trainer.setup.training_setup import TrainingSetup

Floats = NDArray[np.float32]

TASKS = ("text-classification", "multi-label-classification", "regression")
"""Those whose logits a linear model can give: one vector a text, one answer a vector."""


@dataclass(frozen=True)
class Linear:
    """A fitted model; ``logits`` are those of `setup`'s task."""

    setup: TrainingSetup
    model: Any

    def logits(self, vectors: Any) -> Floats:
        task, labels = self.setup.recipe.task, self.setup.splits.labels
        if task == "regression":
            return np.asarray(self.model.predict(vectors), dtype=np.float32).reshape(-1, 1)
        found = np.asarray(self.model.decision_function(vectors), dtype=np.float32)
        if task == "multi-label-classification":
            return found.reshape(len(found), -1)
        if found.ndim == 1:  # of two labels, the log odds of the second
            return _as_two(self.setup, found)
        every = np.full((len(found), len(labels)), found.min() - 10, dtype=np.float32)  # of a label without rows
        every[:, self.model.classes_] = found
        return every


def fit_linear(
    setup: TrainingSetup, vectors: Any, rows: Rows, regularization: float = INVERSE_REGULARIZATION
) -> Linear:
    """Logistic regression, one for each of several labels; of numbers, ridge regression."""
    seed, labels = setup.recipe.training.seed, setup.splits.labels
    if setup.recipe.task == "regression":
        mean, std = setup.task.unit
        return Linear(setup, Ridge(alpha=1.0).fit(vectors, (np.array(rows.targets) - mean) / std))
    model = LogisticRegression(C=regularization, max_iter=1000, random_state=seed)
    if setup.recipe.task == "multi-label-classification":
        return Linear(setup, OneVsRestClassifier(model).fit(vectors, indicators(rows.targets, labels).toarray()))
    return Linear(setup, model.fit(vectors, [labels.index(target) for target in rows.targets]))


def _as_two(setup: TrainingSetup, odds: Floats) -> Floats:
    if setup.task.logits_per_window == 1:
        return odds[:, None]
    return np.stack([-odds / 2, odds / 2], axis=1)


def constant_logits(setup: TrainingSetup, count: int) -> Floats:
    """The same for every row: how frequent labels are, or the mean."""
    splits = setup.splits
    if setup.recipe.task == "regression":
        return np.zeros((count, 1), dtype=np.float32)
    counts = np.array([splits.counts["train"].get(label, 0) for label in splits.labels]) + 0.5
    shares = counts / (len(splits.train) + 1)
    if setup.recipe.task == "text-classification" and setup.task.logits_per_window > 1:
        return np.tile(np.log(shares).astype(np.float32), (count, 1))
    odds = np.log(shares / (1 - np.minimum(shares, 1 - 1e-6))).astype(np.float32)
    return np.tile(odds[-setup.task.logits_per_window :], (count, 1))


def score_logits(setup: TrainingSetup, logits: Floats, rows: Rows) -> Score:
    """As a fine-tuned model's are scored."""
    task, learning = setup.task, setup.training_task
    items = [learning.items(task, inputs) for inputs in rows.inputs]
    encoded = [Encoded(item, []) for of_row in items for item in of_row]
    windows: Sequence[list[Any]] = [[row] for row in logits]
    tuned = learning.task(setup.splits.labels, learning.tune_settings(task, encoded, windows, rows))
    answers = list(learning.decode_rows(tuned, encoded, windows, map(len, items)))
    return score_answers(learning, rows, answers)
