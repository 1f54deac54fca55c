"""Regression: one number per text or pair, trained as a standard score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.functional import huber_loss, mse_loss

from serving.errors import InputError
from serving.tasks import regression as serving
from serving.tasks.base import Encoded, Task, TaskSettings
from trainer.data import columns
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.metrics.changes import VALUE, Changes, Side
from trainer.metrics.correlation import pearson, spearman
from trainer.metrics.resampling import WeightedMetric, pearson_of, spearman_of
from trainer.metrics.scaling import conformal_radius
from trainer.model.inference import RowLogits
from trainer.recipe.defaults import interval_coverage
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.calibration import Calibrated
from trainer.tasks.scoring import mistake
from trainer.tasks.soft_answers import NUMBERS, SoftAnswers
from trainer.tasks.unscored_pairs import require_scores

LARGEST = 1e15


class Regression(TrainingTask):
    """The one label is the column's name."""

    serves = serving.Regression
    head = "sequence"
    annotation = "number"
    mistake_measure = "error"

    def read_targets(self, table: Table) -> list[Any]:
        """Of a size that float32 can square."""
        require_scores(self, table)
        numbers = columns.numbers(table, "data.label", self.label_column)
        return columns.map_rows(table, self._check_size, numbers)

    def _check_size(self, number: float) -> float:
        if abs(number) > LARGEST:
            raise InputError(f"{self.label_column} is {number:g}; at most {LARGEST:g} is accepted, in another unit")
        return number

    def label_names(self, train: Rows, table: Table) -> list[str]:
        return [self.label_column]

    def settings(self, train: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        if len(set(train.targets)) < 2:
            raise InputError(f"{train.name}: every training row has the same number; there is nothing to learn")
        mean, std = float(np.mean(train.targets)), float(np.std(train.targets))
        return serving.RegressionSettings(**self.pair_settings(max_length), mean=mean, std=std)

    def imported_settings(self, rows: Rows, labels: Sequence[str], max_length: int) -> TaskSettings:
        """In the model's own unit."""
        return serving.RegressionSettings(**self.pair_settings(max_length))

    def without_calibration(self, settings: TaskSettings) -> TaskSettings:
        return settings.model_copy(update={"radius": None})

    def calibrate(self, task: Task, encoded: Sequence[Encoded], logits: RowLogits, rows: Rows) -> Calibrated | None:
        """An interval around every number, of `model_head.interval_coverage`."""
        coverage = interval_coverage(self.recipe)
        answers: list[Any] = [task.decode(*pair) for pair in zip(encoded, logits, strict=True)]
        radius = conformal_radius(_numbers(answers) - np.array(rows.targets), coverage)
        settings = task.settings.model_copy(update={"radius": radius, "coverage": coverage})
        return Calibrated(settings, radius is not None)

    def examples(self, task: Task, encoded: list[Encoded], target: Any) -> list[Example]:
        settings: Any = task.settings
        return [Example(tuple(encoded[0].windows), [(target - settings.mean) / settings.std])]

    def loss(self, logits: Tensor, labels: Tensor, *, training: bool) -> Tensor:
        loss = huber_loss if self.recipe.loss == "huber" else mse_loss
        return loss(logits, labels.to(logits.dtype), reduction="sum")

    def soft_answers(self) -> SoftAnswers:
        return NUMBERS

    def metrics(self, rows: Rows, answers: Sequence[Any]) -> MetricValues:
        """RMSE is in the data's unit; coverage is the share of the right numbers that are inside their intervals."""
        expected, answered = np.array(rows.targets), _numbers(answers)
        scores = {
            "pearson": pearson(expected, answered),
            "spearman": spearman(expected, answered),
            "rmse": float(np.sqrt(np.mean((expected - answered) ** 2))),
        }
        if "low" not in answers[0][0]:
            return scores
        low, high = (np.array([answer[0][end] for answer in answers]) for end in ("low", "high"))
        return {**scores, "coverage": float(np.mean((low <= expected) & (expected <= high)))}

    def answered(self, rows: Rows, answers: Sequence[Any]) -> list[Any]:
        return [answer[0]["score"] for answer in answers]

    def weighted_metric(self, metric: str, rows: Rows, answers: Sequence[Any]) -> WeightedMetric:
        return (pearson_of if metric == "pearson" else spearman_of)(rows.targets, _numbers(answers))

    def changes(self, before: Side, after: Side) -> Changes:
        std = before.task.settings.model_dump()["std"]
        return {VALUE: np.abs(_numbers([after.decode()]) - _numbers([before.decode()])) / std}

    def mistakes(self, rows: Rows, answers: Sequence[Any], most: int = 10) -> list[dict[str, Any]]:
        errors = np.abs(np.array(rows.targets) - _numbers(answers))
        return [
            mistake(
                rows,
                at,
                expected=f"{rows.targets[at]:g}",
                answered=f"{answers[at][0]['score']:.3f}",
                error=float(errors[at]),
            )
            for at in np.argsort(-errors, kind="stable")[:most].tolist()
        ]


def _numbers(answers: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([answer[0]["score"] for answer in answers])
