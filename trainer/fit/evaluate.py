"""How good a checkpoint's answers are: the task's scores with their intervals, figures a label, the worst mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.stats import binomtest
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Task
from trainer.data.rows import Rows
from trainer.metrics.correlation import pearson_interval
from trainer.model.checkpoint import Checkpoint
from trainer.model.generate import generate
from trainer.model.heads import Model
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode
from trainer.tasks.base import MetricValues, TrainingTask
from trainer.tasks.generation import Generation

ROWS_AT_ONCE = 1024
"""Rows whose logits are in memory together; of all others only the answers are."""


@dataclass(frozen=True)
class Evaluation:
    """Answers to a set of rows."""

    training_task: TrainingTask
    rows: Rows
    labels: Sequence[str]
    answers: Sequence[Any]

    def metrics(self) -> dict[str, Any]:
        """What a run records: rows, scores, 95 % intervals of those that have one, and the task's details."""
        scores = self.training_task.metrics(self.rows, self.answers)
        return {
            "rows": len(self.rows),
            **scores,
            **self._intervals(scores),
            **self.training_task.details(self.rows, self.answers, self.labels),
        }

    def errors(self) -> dict[str, Any]:
        """The mistakes worth reading first: the most frequent pairs, and the most confident wrong answers."""
        return {
            "confused_pairs": self.training_task.confusions(self.rows, self.answers),
            "worst": self.training_task.mistakes(self.rows, self.answers),
        }

    def _intervals(self, scores: MetricValues) -> dict[str, list[float]]:
        shares = {
            name: wilson_interval(scores[name], len(self.rows)) for name in self.training_task.shares if name in scores
        }
        if "pearson" in scores:
            shares["pearson"] = pearson_interval(scores["pearson"], len(self.rows))
        return {f"{name}_interval_95": list(interval) for name, interval in shares.items()}


def evaluate(checkpoint: Checkpoint, training_task: TrainingTask, rows: Rows, batch_size: int) -> Evaluation:
    """The checkpoint's answers to ``rows``, in fp32, on the accelerator where there is one."""
    model = checkpoint.model.to("cuda" if torch.cuda.is_available() else "cpu")
    answers = answers_to(model, checkpoint.tokenizer, training_task, checkpoint.task, rows, batch_size)
    return Evaluation(training_task, rows, checkpoint.labels, answers)


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share of ``n`` rows."""
    interval = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def answers_to(
    model: Model,
    tokenizer: PreTrainedTokenizerFast,
    training_task: TrainingTask,
    task: Task,
    rows: Rows,
    batch_size: int,
) -> list[Any]:
    """The answer to each row; generated texts by transformers' own greedy ``generate``."""
    if isinstance(training_task, Generation):
        return _generated(model, tokenizer, task, rows)
    items = [training_task.items(task, inputs) for inputs in rows.inputs]
    found: list[Any] = []
    for start in range(0, len(items), ROWS_AT_ONCE):
        some = items[start : start + ROWS_AT_ONCE]
        answers = iter(_answers(model, tokenizer, task, [item for each in some for item in each], batch_size))
        found += [training_task.answer([next(answers) for _ in each]) for each in some]
    return found


def _generated(model: Model, tokenizer: PreTrainedTokenizerFast, task: Task, rows: Rows) -> list[Any]:
    items = [task.check(inputs) for inputs in rows.inputs]
    answers = generate(model, tokenizer, task, items)
    return [task.decode(Encoded(item, []), [[each]]) for item, each in zip(items, answers, strict=True)]


def _answers(
    model: Model, tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any], batch_size: int
) -> Iterator[Any]:
    encoded = encode(tokenizer, task, items)
    logits = rows_logits(model, tokenizer, encoded, batch_size)
    return (task.decode(each, windows) for each, windows in zip(encoded, logits, strict=True))
