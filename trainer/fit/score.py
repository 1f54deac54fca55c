"""One figure of a saved checkpoint on some rows, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.rows import Rows
from trainer.fit.evaluate import evaluate
from trainer.metrics.bootstrap import percentile_interval, resampled_values, value_of
from trainer.metrics.intervals import wilson_interval
from trainer.metrics.resampling import WeightedMetric
from trainer.model.checkpoint import load_checkpoint
from trainer.setup.training_setup import TrainingSetup
from trainer.tasks.base import TrainingTask


@dataclass(frozen=True)
class Score:
    """``interval`` is the 95 % one: Wilson's for shares of rows, else of resampled rows."""

    metric: str
    value: float
    interval: tuple[float, float]
    weighted: WeightedMetric

    def to_record(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "value": self.value,
            "interval_95": list(self.interval),
            "rows": self.weighted.rows,
        }


def score_checkpoint(setup: TrainingSetup, folder: Path, rows: Rows) -> tuple[Score, list[Any]]:
    """The score by the metric that a proof compares, and the answers."""
    batch_size = setup.recipe.training.per_device_eval_batch_size
    answers = list(evaluate(load_checkpoint(folder), setup.training_task, rows, batch_size).answers)
    return score_answers(setup.training_task, rows, answers), answers


def score_answers(task: TrainingTask, rows: Rows, answers: list[Any]) -> Score:
    name = task.proof_metric
    weighted = task.weigh(name, rows, answers)
    value = value_of(weighted)
    if name in task.shares:
        return Score(name, value, wilson_interval(value, len(rows)), weighted)
    return Score(name, value, percentile_interval(resampled_values([weighted])[0]), weighted)
