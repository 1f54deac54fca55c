"""The gates of an approximate variant's answers, in units that users see."""

from __future__ import annotations

from collections.abc import Iterator

from export.proof.answers.served_answers import ServedAnswers
from export.proof.checks.answer_changes import AnswerChanges, Total, measure_changes
from export.proof.gate import NO_LABELS, Gate, at_least, at_most, not_applicable
from trainer.metrics.calibration import calibration_error_change
from trainer.metrics.changes import Unit

_MAX_CHARACTERS = 40


def check_answers(served: ServedAnswers) -> list[Gate]:
    """Only those that apply to the task."""
    changes = measure_changes(served)
    return [*_agreement(served, changes), *_units(served, changes), *_calibration(served)]


def _agreement(served: ServedAnswers, changes: AnswerChanges) -> Iterator[Gate]:
    """One answer may differ even among few inputs."""
    if not served.predictor.task.decides:
        return
    items, changed = len(served.encoded), len(changes.changed)
    bound = served.reference.training_task.recipe.export.min_agreement
    crossed = f", {changes.crossed} of them by crossing a threshold" if changes.crossed else ""
    yield Gate(
        name="share of equal answers",
        passed=changed <= max(1, (1 - bound) * items),
        measured=1 - changed / items,
        accepted=f"≥ {bound:g}, or all but one",
        advice=f"{changed:,} of {items:,} answers differ{crossed}" if changed else "",
        key="export.min_agreement",
        worst=_describe(served, changes.changed[0] if changes.changed else None),
    )


def _units(served: ServedAnswers, changes: AnswerChanges) -> Iterator[Gate]:
    for unit, total in changes.totals.items():
        for key in filter(None, (unit.largest, unit.mean)):
            yield _unit(served, unit, total, key)


def _unit(served: ServedAnswers, unit: Unit, total: Total, key: str) -> Gate:
    mean = key == unit.mean
    extreme = "lowest" if unit.similarity else "largest"
    name = f"{'mean' if mean else extreme} {unit.name}"
    if not total.count:
        return not_applicable(name, unit.absent)
    measured, bound = total.mean if mean else total.largest, getattr(served.reference.training_task.recipe.export, key)
    worst, key = "" if mean else _describe(served, total.worst), f"export.{key}"
    if unit.similarity:
        return at_least(name, 1 - measured, bound, key, worst)
    return at_most(name, measured, bound, key, worst)


def _calibration(served: ServedAnswers) -> Iterator[Gate]:
    """If the task's answers have a probability of being right."""
    if not served.reference.evaluation.labelled:
        if served.predictor.task.decides and served.reference.training_task.calibrates:
            yield not_applicable("change of the calibration error", NO_LABELS)
        return
    if served.judged_confidences is None:
        return
    change = calibration_error_change(*served.judged_confidences)
    bound = served.reference.training_task.recipe.export.max_ece_change
    yield at_most("change of the calibration error", abs(change), bound, "export.max_ece_change")


def _describe(served: ServedAnswers, item: int | None) -> str:
    if item is None:
        return ""
    text = " ".join(str(served.encoded[item].item).split())
    shown = text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "…"
    return f"{_place(served, item)}, {shown!r}"


def _place(served: ServedAnswers, item: int) -> str:
    last = 0
    for row, count in enumerate(served.reference.counts, 1):
        last += count
        if item < last:
            return f"row {row}"
    return "a hard input"
