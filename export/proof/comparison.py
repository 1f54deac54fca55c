"""`tuneship compare`: a bundle and the one in production, on the same labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from export.proof.answers.item_answers import ItemAnswers
from export.proof.answers.reference import run_in_batches
from export.proof.answers.served_answers import LARGEST_DROP, run_items
from export.proof.display import change_unit, format_change
from export.proof.statistics.metric_change import MetricChange, measure_change
from serving.errors import InputError
from serving.inference.predictor import Predictor
from trainer.data.rows import Rows
from trainer.metrics.display import format_score, metric_title
from trainer.model.checkpoint import load_tokenizer
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import require_locked
from trainer.run.run import Run
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask

BUDGET = "--max-metric-drop"


@dataclass(frozen=True)
class Comparison:
    """From production to candidate.

    Attributes:
        lost, won: rows that only production, or only the candidate, answers right; None where right is a matter of
            degree.
        same_test_rows: whether production was proven on these rows too, so that it was not trained on them.
    """

    change: MetricChange
    lost: int | None
    won: int | None
    same_test_rows: bool

    @property
    def passed(self) -> bool:
        return self.change.within_budget

    def to_json(self) -> dict[str, Any]:
        change = self.change
        return {
            "passed": self.passed,
            "metric": change.metric,
            "rows": change.rows,
            "production": change.reference,
            "candidate": change.served,
            "change_interval": [change.low, change.high],
            "level": change.level,
            "max_metric_drop": change.budget,
            "lost": self.lost,
            "won": self.won,
            "rows_needed": change.rows_needed,
            "same_test_rows": self.same_test_rows,
        }


def compare_bundles(
    run: Run, candidate: Path, production: Path, max_metric_drop: float | None = None, threads: int = 1
) -> Comparison:
    """Test that the metric drops by less than a budget, ``export.max_metric_drop`` by default.

    Args:
        run: the candidate's, whose test rows are answered.
        candidate, production: folders of bundles.

    Raises:
        InputError: the candidate is not the run's, the bundles have different tasks, or the rows have no labels.
        BundleError: a bundle cannot be trusted or does not answer here.
    """
    require_locked(run)
    rows, training_task = run.read_evaluation(), open_training_task(run)
    if not rows.labelled:
        raise InputError(f"{run.root}: its test rows have no labels, so that nothing can be compared")
    ours, theirs = (Predictor.open(root, threads=threads) for root in (candidate, production))
    _require_comparable(run, ours, theirs)
    before, after = (answer_rows(training_task, each, rows, threads) for each in (theirs, ours))
    budget = training_task.recipe.export.max_metric_drop if max_metric_drop is None else max_metric_drop
    test_rows = [each.manifest.data["splits"]["test"]["sha256"] for each in (ours, theirs)]
    compared = compare_answers(training_task, rows, before, after, budget)
    return Comparison(*compared, same_test_rows=test_rows[0] == test_rows[1])


def compare_answers(
    training_task: TrainingTask, rows: Rows, before: Sequence[Any], after: Sequence[Any], budget: float
) -> tuple[MetricChange, int | None, int | None]:
    """The change from the answers ``before``, and the rows lost and won; None where right is a matter of degree."""
    lost, won = _count_flips(training_task, rows, before, after)
    return _measure(training_task, rows, before, after, budget), lost, won


def open_training_task(run: Run) -> TrainingTask:
    """As the run's checkpoint reads its rows."""
    training_task = create_training_task(load_recipe(run.recipe))
    training_task.read_with(load_tokenizer(run.checkpoint), str(run.checkpoint))
    return training_task


def _require_comparable(run: Run, ours: Predictor, theirs: Predictor) -> None:
    checkpoint = run.read_record()["data"]["splits"]["test"]["sha256"]
    if ours.manifest.data["splits"]["test"]["sha256"] != checkpoint:
        raise InputError(f"{ours.bundle.root}: was not proven on the test rows of {run.root}; export that run")
    if ours.manifest.task != theirs.manifest.task:
        raise InputError(
            f"{theirs.bundle.root}: its task is {theirs.manifest.task}, and that of {ours.bundle.root} is "
            f"{ours.manifest.task}; nothing can be compared"
        )


def answer_rows(training_task: TrainingTask, predictor: Predictor, rows: Rows, threads: int) -> list[Any]:
    """A bundle's answers, as it serves them."""
    per_row = [training_task.items(predictor.task, inputs) for inputs in rows.inputs]
    items = [item for row in per_row for item in row]
    part, run = f"{predictor.manifest.name}'s answers", partial(run_items, predictor)
    encoded, results = run_in_batches(part, predictor.task, predictor.encode, run, items, threads)
    return ItemAnswers(training_task, predictor.task, [len(row) for row in per_row], encoded, results).by_row


def _count_flips(
    training_task: TrainingTask, rows: Rows, before: Sequence[Any], after: Sequence[Any]
) -> tuple[int | None, int | None]:
    right, still = training_task.is_correct(rows, before), training_task.is_correct(rows, after)
    if right is None or still is None:
        return None, None
    pairs = list(zip(right, still, strict=True))
    return pairs.count((True, False)), pairs.count((False, True))


def _measure(
    training_task: TrainingTask, rows: Rows, before: Sequence[Any], after: Sequence[Any], budget: float
) -> MetricChange:
    metric = training_task.proof_metric
    if metric in training_task.shares:
        budget = min(budget, LARGEST_DROP)
    scores = [training_task.score(rows, answers)[metric] for answers in (before, after)]
    sides = [training_task.weigh(metric, rows, answers) for answers in (before, after)]
    floor = training_task.least(metric, rows)
    return measure_change(metric, (scores[0], scores[1]), (sides[0], sides[1]), budget, floor=floor)


def describe(comparison: Comparison) -> list[str]:
    """Lines for people."""
    change = comparison.change
    before, after = (format_score(change.metric, score) for score in (change.reference, change.served))
    low, high = format_change(change.metric, change.low, change.high)
    lines = [
        f"{metric_title(change.metric)}, production → candidate: {before} → {after} on {change.rows:,} test rows",
        f"its change, {100 - 200 * change.level:g} % interval: {low} to {high}{change_unit(change.metric)}",
    ]
    if comparison.lost is not None:
        lines.append(f"rows lost / won: {comparison.lost:,} / {comparison.won:,}")
    return lines


def explain_failure(comparison: Comparison) -> str:
    """Why the gate failed, and what to do."""
    change = comparison.change
    [low, drop] = format_change(change.metric, change.low, -change.budget)
    unit = change_unit(change.metric)
    told = f"the change may be {low}{unit}, and must be shown to be above {drop}{unit} ({BUDGET})"
    if change.loses_too_much:
        return f"the candidate is worse than production: {told}"
    if change.rows_needed is not None:
        return f"{told}; {change.rows_needed:,} test rows like these would show it"
    return told
