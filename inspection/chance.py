"""Whether two scores differ by more than chance: both sides answer the same test rows, and the answers are compared.

The test is that of `tuneship compare` (`export.proof.statistics`), two-sided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.proof.comparison import answer_rows, compare_answers, open_training_task
from export.proof.statistics.metric_change import MetricChange
from inspection.comparable import test_digest
from inspection.subject import Record, Subject
from serving.errors import InputError
from serving.inference.predictor import Predictor
from trainer.data.rows import Rows
from trainer.fit.evaluate import evaluate
from trainer.model.checkpoint import load_checkpoint
from trainer.run.lock import require_locked
from trainer.run.run import Run


@dataclass(frozen=True)
class Verdict:
    """From A to B; ``lost`` and ``won``: rows that only A, or only B, answers right; None where right has degrees."""

    change: MetricChange
    lost: int | None
    won: int | None

    @property
    def beyond_chance(self) -> bool:
        return self.change.low > 0 or self.change.high < 0

    def to_json(self) -> Record:
        change = self.change
        return {
            "metric": change.metric,
            "rows": change.rows,
            "before": change.reference,
            "after": change.served,
            "change_interval": [change.low, change.high],
            "level": change.level,
            "lost": self.lost,
            "won": self.won,
            "beyond_chance": self.beyond_chance,
        }


def test_scores(before: Subject, after: Subject, rows: Path | None, threads: int) -> Verdict:
    """Answer the test rows with both sides.

    Args:
        rows: a run with the rows; by default that of a side that is a run.

    Raises:
        InputError: a run is not as it was trained, or its rows are others.
        BundleError: a bundle does not answer here.
    """
    run = Run.open(rows or next(each.root for each in (before, after) if each.kind == "run"))
    require_locked(run)
    if run.read_record()["data"]["splits"]["test"]["sha256"] != test_digest(before):
        raise InputError(f"{run.root}: has other test rows than {before.name}; give the run that was exported")
    evaluation, training_task = run.read_evaluation(), open_training_task(run)
    answers = [_answer(each, run, evaluation, threads) for each in (before, after)]
    return Verdict(*compare_answers(training_task, evaluation, answers[0], answers[1], budget=0.0))


def _answer(subject: Subject, run: Run, rows: Rows, threads: int) -> Sequence[Any]:
    """A run's checkpoint answers in torch, a bundle as a server does."""
    if subject.kind == "bundle":
        return answer_rows(open_training_task(run), Predictor.open(subject.root, threads=threads), rows, threads)
    own = Run.open(subject.root)
    require_locked(own)
    training_task = open_training_task(own)
    batch_size = training_task.recipe.training.per_device_eval_batch_size
    return evaluate(load_checkpoint(own.checkpoint), training_task, rows, batch_size).answers
