"""How good a checkpoint's answers are: the task's scores with their intervals, figures a label, the worst mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from trainer.model import Checkpoint
from trainer.rows import Rows
from trainer.scores.correlation import pearson_interval
from trainer.tasks.base import Learning, Scores

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Evaluation:
    """Answers to a set of rows."""

    learning: Learning
    rows: Rows
    labels: Sequence[str]
    answers: Sequence[Any]

    def metrics(self) -> dict[str, Any]:
        """What a run records: rows, scores, 95 % intervals of those that have one, and the task's details."""
        scores = self.learning.scores(self.rows, self.answers)
        return {
            "rows": len(self.rows),
            **scores,
            **self._intervals(scores),
            **self.learning.details(self.rows, self.answers, self.labels),
        }

    def errors(self) -> dict[str, Any]:
        """The mistakes worth reading first: the most frequent pairs, and the most confident wrong answers."""
        return {
            "confused_pairs": self.learning.confusions(self.rows, self.answers),
            "worst": self.learning.mistakes(self.rows, self.answers),
        }

    def _intervals(self, scores: Scores) -> dict[str, list[float]]:
        shares = {
            name: wilson_interval(scores[name], len(self.rows)) for name in self.learning.shares if name in scores
        }
        if "pearson" in scores:
            shares["pearson"] = pearson_interval(scores["pearson"], len(self.rows))
        return {f"{name}_interval_95": list(interval) for name, interval in shares.items()}


def wilson_interval(share: float, n: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a share observed in ``n`` cases (Wilson 1927, JASA 22, equation 2)."""
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def evaluate(checkpoint: Checkpoint, learning: Learning, rows: Rows, batch_size: int) -> Evaluation:
    """The checkpoint's answers to ``rows``, in fp32, on the accelerator where there is one."""
    model = checkpoint.model.to("cuda" if torch.cuda.is_available() else "cpu")
    answers = learning.answers(model, checkpoint.tokenizer, checkpoint.task, rows, batch_size)
    return Evaluation(learning, rows, checkpoint.labels, answers)
