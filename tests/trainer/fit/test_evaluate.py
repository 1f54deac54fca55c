"""Metrics agree with hand-made answers, intervals with published ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tiny import toy_rows
from tests.trainer.conftest import rows_of, training_task
from trainer.fit.evaluate import Evaluation, evaluate
from trainer.metrics.intervals import wilson_interval
from trainer.model.checkpoint import load_checkpoint
from trainer.run.run import Run

CLASSES = training_task("text-classification")


def answer(label: str, score: float) -> list[dict[str, Any]]:
    """A classifier's answer whose best label is this one."""
    return [{"label": label, "score": score}, {"label": "another", "score": 1 - score}]


MADE = Evaluation(
    CLASSES,
    rows_of(("t1", "a"), ("t2", "a"), ("t3", "b"), ("t4", "b"), ("t5", "c")),
    ["a", "b", "c"],
    [answer("a", 0.9), answer("b", 0.6), answer("b", 0.8), answer("b", 0.7), answer("b", 0.95)],
)


def test_metrics() -> None:
    """Accuracy, macro-F1, each label's figures and the matrix agree with a count by hand."""
    figures = MADE.metrics()
    assert (figures["rows"], figures["accuracy"]) == (5, 0.6)
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert figures["confusion_matrix"] == [[1, 1, 0], [0, 2, 0], [0, 1, 0]]
    assert figures["per_label"]["b"] == {
        "precision": 0.5,
        "precision_interval_95": list(wilson_interval(0.5, 4)),
        "recall": 1.0,
        "recall_interval_95": list(wilson_interval(1.0, 2)),
        "f1": pytest.approx(2 / 3),
        "support": 2,
    }
    unanswered = figures["per_label"]["c"]
    assert [unanswered[name] for name in ("precision", "recall", "f1", "support")] == [0.0, 0.0, 0.0, 1]
    assert unanswered["precision_interval_95"] == [0.0, 1.0]


def test_errors() -> None:
    """Mistakes are listed by frequency and by confidence, with their row."""
    errors = MADE.errors()
    assert errors["confused_pairs"] == [
        {"expected": "a", "answered": "b", "count": 1},
        {"expected": "c", "answered": "b", "count": 1},
    ]
    assert [(error["row"], error["confidence"]) for error in errors["worst"]] == [(5, 0.95), (2, 0.6)]
    assert CLASSES.mistakes(MADE.rows, MADE.answers, most=1)[0]["text"] == "t5"


def test_wilson() -> None:
    """The interval is Wilson's: 81 of 263 gives 0.2553 to 0.3662 (Newcombe 1998, table I, method 3)."""
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1.0, 20)[1] == 1.0


def test_only_seen_labels() -> None:
    """Macro-F1 is over the labels that occur among the expected or the answers."""
    rows = rows_of(("x", "a"), ("y", "a"), ("z", "f"))
    right = [answer(label, 1.0) for label in rows.targets]
    assert CLASSES.metrics(rows, right) == {"accuracy": 1.0, "macro_f1": 1.0}


def test_intervals() -> None:
    """Shares of rows have Wilson's interval and Pearson's correlation Fisher's; F1 has none."""
    figures = MADE.metrics()
    assert figures["accuracy_interval_95"] == list(wilson_interval(0.6, 5))
    assert "macro_f1_interval_95" not in figures
    rows = rows_of(*((f"t{at}", float(at)) for at in range(10)))
    answers = [[{"label": "x", "score": float(at * at)}] for at in range(10)]
    found = Evaluation(training_task("regression"), rows, ["x"], answers).metrics()
    low, high = found["pearson_interval_95"]
    assert 0 < low < found["pearson"] < high < 1
    assert "spearman_interval_95" not in found


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size(tiny_run: Run, batch_size: int) -> None:
    """The answers do not depend on the batch size, and come in the order of the rows."""
    rows = rows_of(*toy_rows(), name="toy")
    checkpoint = load_checkpoint(tiny_run.checkpoint)
    found = evaluate(checkpoint, CLASSES, rows, batch_size)
    one = [evaluate(checkpoint, CLASSES, rows.take([at]), 1).answers[0] for at in range(0, 72, 9)]
    assert [each[0]["label"] for each in found.answers[::9]] == [each[0]["label"] for each in one]
    assert [each[0]["score"] for each in found.answers[::9]] == pytest.approx([each[0]["score"] for each in one])
    assert found.metrics()["accuracy"] > 0.8
