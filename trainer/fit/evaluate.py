"""A checkpoint's metrics with intervals, and its worst mistakes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.tasks.base import Encoded
from trainer.data.rows import Rows
from trainer.fit.answers import PackedAnswers
from trainer.fit.encoding import encode_blocks
from trainer.metrics.bootstrap import percentile_interval, resampled_values
from trainer.metrics.calibration import Forecasts, join, measure_both
from trainer.metrics.correlation import pearson_interval
from trainer.metrics.intervals import wilson_interval
from trainer.metrics.slices import find_slices, measure_slices
from trainer.model.checkpoint import Checkpoint
from trainer.model.device import best_device
from trainer.model.generate import generate
from trainer.model.inference import rows_logits
from trainer.tasks.base import MetricValues, TrainingTask
from trainer.tasks.generation import Generation
from trainer.tasks.scoring import Scoring

MOST_MISSES = 10


@dataclass(frozen=True)
class Evaluation:
    """Attributes:
    labels: in the order of the logits.
    forecasts: before and after calibration, where there are some.
    misses: expected answers among several that were not given, the least likely first.
    truncated: whether each row was cut.
    """

    scoring: Scoring
    rows: Rows
    labels: Sequence[str]
    answers: Sequence[Any]
    forecasts: Mapping[str, Forecasts] = field(default_factory=dict)
    misses: Sequence[dict[str, Any]] = ()
    truncated: Sequence[bool] = ()

    def metrics(self) -> dict[str, Any]:
        """The task's metrics and details, with 95 % intervals."""
        metrics = self.scoring.score(self.rows, self.answers)
        details = self.scoring.details(self.rows, self.answers, self.labels)
        calibration = measure_both(self.forecasts)
        return {
            "rows": len(self.rows),
            **metrics,
            **self._intervals(metrics),
            **({"calibration": calibration} if calibration else {}),
            **details,
        }

    def errors(self) -> dict[str, Any]:
        return {
            "measure": self.scoring.mistake_measure,
            "confused_pairs": self.scoring.confusions(self.rows, self.answers),
            "worst": self.scoring.mistakes(self.rows, self.answers),
            "missed": list(self.misses),
        }

    def slices(self) -> list[dict[str, Any]]:
        """Of the metric that a proof compares."""
        metric = self.scoring.weigh(self.scoring.proof_metric, self.rows, self.answers)
        return measure_slices(metric, find_slices(self.rows, self.truncated or [False] * len(self.rows)))

    def _intervals(self, metrics: MetricValues) -> dict[str, list[float]]:
        n = len(self.rows)
        intervals = {name: wilson_interval(metrics[name], n) for name in self.scoring.shares if name in metrics}
        if "pearson" in metrics:
            intervals["pearson"] = pearson_interval(metrics["pearson"], n)
        if (own := self.scoring.own_metric) and own.name in metrics:
            weighted = self.scoring.weigh(own.name, self.rows, self.answers)
            intervals[own.name] = percentile_interval(resampled_values([weighted])[0])
        intervals |= self.scoring.intervals(self.rows, self.answers)
        return {f"{name}_interval_95": list(interval) for name, interval in intervals.items()}


def evaluate(checkpoint: Checkpoint, training_task: TrainingTask, rows: Rows, batch_size: int) -> Evaluation:
    """The checkpoint's answers in fp32, on a GPU where there is one; generated texts are greedy."""
    checkpoint.model.to(best_device())
    if isinstance(training_task, Generation):
        return Evaluation(training_task, rows, checkpoint.labels, _generate_answers(checkpoint, rows))
    tasks = {"before": training_task.uncalibrated(checkpoint.task), "after": checkpoint.task}
    answers, forecasts = PackedAnswers(), defaultdict[str, list[Forecasts]](list)
    misses, truncated = list[dict[str, Any]](), list[bool]()
    for block in encode_blocks(training_task, checkpoint.task, checkpoint.tokenizer, rows):
        logits = rows_logits(checkpoint.model, checkpoint.tokenizer, block.encoded, batch_size)
        answered = list(training_task.decode_rows(checkpoint.task, block.encoded, logits, block.counts))
        found_misses = training_task.misses(checkpoint.task, block.encoded, logits, block.rows, answered)
        misses = _least_likely([*misses, *({**each, "line": each["line"] + len(answers)} for each in found_misses)])
        answers.extend(answered)
        truncated += [any(each.truncated for each in of_row) for of_row in block.by_row()]
        for when, task in tasks.items():
            if found := training_task.forecasts(task, block.encoded, logits, block.rows):
                forecasts[when].append(found)
    joined = {when: join(parts) for when, parts in forecasts.items()}
    return Evaluation(training_task, rows, checkpoint.labels, answers, joined, misses, truncated)


def _least_likely(misses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(misses, key=lambda each: float(each["confidence"]))[:MOST_MISSES]


def _generate_answers(checkpoint: Checkpoint, rows: Rows) -> list[Any]:
    task = checkpoint.task
    items = [task.check(inputs) for inputs in rows.inputs]
    answers = generate(checkpoint.model, checkpoint.tokenizer, task, items)
    return [task.decode(Encoded(item, []), [[each]]) for item, each in zip(items, answers, strict=True)]
