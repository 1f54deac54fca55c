"""The figures: right by hand-made answers, and by a published interval."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiny import toy_rows
from trainer.evaluate import Evaluation, evaluate, headline, wilson_interval
from trainer.model import load_checkpoint
from trainer.rows import Rows
from trainer.run import Run

ROWS = Rows("x", ["t1", "t2", "t3", "t4", "t5"], ["a", "a", "b", "b", "c"], [1, 2, 3, 4, 5])
MADE = Evaluation(
    ROWS,
    ["a", "b", "c"],
    np.array([0, 0, 1, 1, 2]),
    np.array([0, 1, 1, 1, 1]),
    np.array([0.9, 0.6, 0.8, 0.7, 0.95]),
)


def test_metrics() -> None:
    """Accuracy, macro-F1, each label's figures and the matrix agree with a count by hand."""
    figures = MADE.metrics()
    assert (figures["rows"], figures["accuracy"]) == (5, 0.6)
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert figures["confusion_matrix"] == [[1, 1, 0], [0, 2, 0], [0, 1, 0]]
    assert figures["per_label"]["b"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 2,
    }
    assert figures["per_label"]["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_errors() -> None:
    """Mistakes are listed by how often and by how sure, with the row that they are in."""
    errors = MADE.errors()
    assert errors["confused_pairs"] == [
        {"expected": "a", "answered": "b", "count": 1},
        {"expected": "c", "answered": "b", "count": 1},
    ]
    assert [(error["row"], error["confidence"]) for error in errors["worst"]] == [(5, 0.95), (2, 0.6)]
    assert MADE.errors(most=1)["worst"][0]["text"] == "t5"


def test_wilson() -> None:
    """The interval is Wilson's: 81 of 263 gives 0.2553 to 0.3662 (Newcombe 1998, table I, method 3)."""
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1.0, 20)[1] == 1.0


def test_headline_only_seen_labels() -> None:
    """Macro-F1 is over the labels that occur among the expected or the answers."""
    assert headline([0, 0, 5], [0, 0, 5]) == {"accuracy": 1.0, "macro_f1": 1.0}


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size(tiny_run: Run, batch_size: int) -> None:
    """The answers do not depend on the batch size, and come in the order of the rows."""
    texts, labels = zip(*toy_rows(), strict=True)
    rows = Rows("toy", list(texts), list(labels), list(range(1, 73)))
    checkpoint = load_checkpoint(tiny_run.checkpoint)
    answers = evaluate(checkpoint, rows, batch_size)
    one = [int(evaluate(checkpoint, rows.take([at]), 1).answered[0]) for at in range(0, 72, 9)]
    assert answers.answered[::9].tolist() == one
    assert answers.metrics()["accuracy"] > 0.8
