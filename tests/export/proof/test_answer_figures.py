"""The gates of approximate variants from figures alone: their bounds, keys, and what they say of the worst input."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from export.proof import answer_gates
from export.proof.answer_gates import check_answers
from export.proof.checks.answer_changes import AnswerChanges, Total, measure_changes
from export.proof.gate import Gate, not_applicable
from serving.tasks.base import Encoded
from trainer.metrics.changes import COSINE, PROBABILITY, TEXT, VALUE
from trainer.recipe.sections import Export


def served(items: int = 200, decides: bool = True, judged: Any = None, **bounds: float) -> Any:
    """Rows of two items each but for the last 50 items, which are hard inputs."""
    recipe = SimpleNamespace(export=Export(**bounds))
    return SimpleNamespace(
        predictor=SimpleNamespace(task=SimpleNamespace(decides=decides)),
        encoded=[Encoded(f"text  {at}\n{'x' * at}", []) for at in range(items)],
        reference=SimpleNamespace(
            training_task=SimpleNamespace(recipe=recipe),
            evaluation=SimpleNamespace(labelled=True),
            counts=[2] * ((items - 50) // 2) if items > 50 else [items],
        ),
        judged_confidences=judged,
    )


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> AnswerChanges:
    """What was measured."""
    found = AnswerChanges()
    monkeypatch.setattr(answer_gates, "measure_changes", lambda served: found)
    return found


@pytest.mark.parametrize(
    ("items", "changed", "passed"),
    [(200, 0, True), (200, 10, True), (200, 11, False), (10, 1, True), (10, 2, False), (200, 200, False)],
)
def test_few_answers_may_differ(changes: AnswerChanges, items: int, changed: int, passed: bool) -> None:
    """Within the recipe's share, and one even among few inputs; the first is named."""
    changes.changed = list(range(items - changed, items))
    (gate,) = check_answers(served(items, min_agreement=0.95))
    assert (gate.name, gate.passed, gate.accepted) == ("share of equal answers", passed, "≥ 0.95, or all but one")
    assert gate.measured == pytest.approx(1 - changed / items)
    assert gate.key == "export.min_agreement"
    assert gate.advice == (f"{changed} of {items} answers differ" if changed else "")
    assert bool(gate.worst) == bool(changed)


def test_thresholds_that_are_crossed_are_told(changes: AnswerChanges) -> None:
    """They explain an answer whose probability hardly moved."""
    changes.changed, changes.crossed = [3, 4], 1
    (gate,) = check_answers(served(2000))
    assert gate.advice == "2 of 2,000 answers differ, 1 of them by crossing a threshold"
    assert check_answers(served(decides=False)) == []


@pytest.mark.parametrize(
    ("item", "worst"),
    [
        (0, "row 1, 'text 0'"),
        (1, "row 1, 'text 1 x'"),
        (2, "row 2, 'text 2 xx'"),
        (33, f"row 17, 'text 33 {'x' * 32}…'"),
        (32, f"row 17, 'text 32 {'x' * 32}'"),
        (149, f"row 75, 'text 149 {'x' * 31}…'"),
        (150, f"a hard input, 'text 150 {'x' * 31}…'"),
    ],
)
def test_the_worst_input_is_named(changes: AnswerChanges, item: int, worst: str) -> None:
    """By its row, one-based, and its first 40 characters on one line."""
    changes.changed = [item, 199]
    assert check_answers(served())[0].worst == worst


def test_each_unit_has_its_bounds(changes: AnswerChanges) -> None:
    """The largest and the mean change, under the recipe's keys; of a similarity the lowest and the mean."""
    changes.totals = {
        PROBABILITY: Total(count=4, sum=0.2, largest=0.125, worst=2),
        COSINE: Total(count=2, sum=0.5, largest=0.5, worst=3),
        TEXT: Total(count=4, sum=0.2, largest=0.125, worst=2),
        VALUE: Total(),
    }
    two, three = "row 2, 'text 2 xx'", "row 2, 'text 3 xxx'"
    key = "export.max_{}probability_change"
    assert check_answers(served(decides=False, max_probability_change=0.125, min_cosine=0.25)) == [
        Gate("largest change of a probability", True, 0.125, "≤ 0.125", "", key.format(""), two),
        Gate("mean change of a probability", False, 0.05, "≤ 0.02", "", key.format("mean_")),
        Gate("lowest cosine with the checkpoint's vector", True, 0.5, "≥ 0.25", "", "export.min_cosine", three),
        Gate("mean cosine with the checkpoint's vector", False, 0.75, "≥ 0.98", "", "export.min_mean_cosine"),
        Gate("mean word F1 with the checkpoint's text", True, 0.95, "≥ 0.95", "", "export.min_mean_text_f1"),
        not_applicable("largest change of a number, in standard deviations", "there was nothing to compare"),
        not_applicable("mean change of a number, in standard deviations", "there was nothing to compare"),
    ]


@pytest.mark.parametrize(("after", "measured"), [([0.75] * 4, 0.25), ([0.25] * 4, 0.25), ([0.5] * 4, 0.0)])
def test_the_calibration_error_moves_either_way(changes: AnswerChanges, after: list[float], measured: float) -> None:
    """Nearer to the share that is right, or further from it."""
    right = [True, True, True, True]
    gate = check_answers(served(decides=False, judged=([0.5] * 4, right, after, right), max_ece_change=0.25))[0]
    assert gate == Gate("change of the calibration error", True, measured, "≤ 0.25", key="export.max_ece_change")
    bounds = {"max_ece_change": 0.2}
    (gate,) = check_answers(served(decides=False, judged=([0.5] * 4, right, after, right), **bounds))
    assert gate.passed is (measured < 0.2)


def test_totals_of_a_stream() -> None:
    """The first of the largest values is the worst; nothing adds nothing."""
    total = Total()
    total.add(0, np.array([]))
    assert (total.count, total.worst) == (0, None)
    for item, values in enumerate(([0.0], [0.25, 0.5], [0.5], [0.125])):
        total.add(item, np.array(values))
    assert (total.count, total.sum, total.largest, total.worst, total.mean) == (5, 1.375, 0.5, 1, 0.275)
    total.add(9, np.array([math.nan, 1.0]))
    assert (total.largest, total.worst) == (math.inf, 9)
    lone = Total()
    lone.add(7, np.array([0.0]))
    assert lone.worst == 7


def test_changes_are_those_of_each_item() -> None:
    """Reference before served, with each side's own task and logits; only another decision may cross a threshold."""
    asked = []

    def changes(before: Any, after: Any) -> Any:
        asked.append([(side.task, side.encoded, side.results, side.logits()) for side in (before, after)])
        return {PROBABILITY: np.array([0.5])}

    training_task = SimpleNamespace(changes=changes, crosses_threshold=lambda before, after: after.results == "s2")
    sides = {
        name: {
            "encoded": [f"{name}e{at}" for at in range(4)],
            "results": [f"{name}{at}" for at in range(4)],
            "logits": lambda at, name=name: f"{name}l{at}",
        }
        for name in "rs"
    }
    reference = SimpleNamespace(training_task=training_task, model=SimpleNamespace(task="rt"), **sides["r"])
    answers: Any = SimpleNamespace(
        reference=reference, predictor=SimpleNamespace(task="st"), same_answers=[True, False, False, True], **sides["s"]
    )
    found = measure_changes(answers)
    assert asked == [[(f"{s}t", f"{s}e{at}", f"{s}{at}", f"{s}l{at}") for s in "rs"] for at in range(4)]
    assert found == AnswerChanges([1, 2], 1, {PROBABILITY: Total(4, 2.0, 0.5, 0)})
