"""Multi-label classification: each label is decided by itself, by its own threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from serving.tasks.multi_label_classification import MultiLabelClassification, MultiLabelParameters, MultiLabelSettings
from tests.serving.tasks.hand_made import LIMITS, one_row

LOG_3 = float(np.log(3))
LOGITS = (-LOG_3, 0.0, LOG_3)
"""The probabilities are 0.25, 0.5 and 0.75."""


def answered(thresholds: list[float], **parameters: Any) -> list[str]:
    """The labels answered to LOGITS."""
    task = MultiLabelClassification(["joy", "anger", "fear"], MultiLabelSettings(thresholds=thresholds), LIMITS)
    return [each["label"] for each in task.decode(*one_row(*LOGITS), MultiLabelParameters(**parameters))]


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        ([], ["fear", "anger"]),  # one half each, where nothing was tuned
        ([0.5, 0.5, 0.5], ["fear", "anger"]),
        ([0.2, 0.6, 0.7], ["fear", "joy"]),
        ([0.2, 0.6, 0.8], ["joy"]),
        ([0.3, 0.6, 0.8], []),
        ([0.0, 0.0, 0.0], ["fear", "anger", "joy"]),
        ([1.0, 1.0, 1.0], []),
    ],
)
def test_thresholds(thresholds: list[float], expected: list[str]) -> None:
    """A label is answered from its own threshold on: none, one or several, best first."""
    assert answered(thresholds) == expected


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.0, ["fear", "anger", "joy"]), (0.5, ["fear", "anger"]), (0.75, ["fear"]), (1, [])]
)
def test_threshold_parameter(threshold: float, expected: list[str]) -> None:
    """A caller's threshold takes the place of all that were tuned."""
    assert answered([0.2, 0.6, 0.8], threshold=threshold) == expected


@pytest.mark.parametrize(("top_k", "expected"), [(1, ["fear"]), (2, ["fear", "anger"]), (9, ["fear", "anger", "joy"])])
def test_top_k(top_k: int, expected: list[str]) -> None:
    """top_k gives at most so many of the labels that reach their thresholds, best first."""
    assert answered([0.0, 0.0, 0.0], top_k=top_k) == expected
    assert answered([1.0, 1.0, 1.0], top_k=top_k) == []


def test_scores() -> None:
    """Scores are each label's own probability, and do not sum to one."""
    task = MultiLabelClassification(["joy", "anger", "fear"], MultiLabelSettings(), LIMITS)
    answer = task.decode(*one_row(*LOGITS), MultiLabelParameters(threshold=0))
    assert {each["label"]: each["score"] for each in answer} == pytest.approx({"joy": 0.25, "anger": 0.5, "fear": 0.75})
    assert {type(each["score"]) for each in answer} == {float}


def test_decision() -> None:
    """What counts is the set of labels: another order by a rounding is the same decision, another set is not."""
    task = MultiLabelClassification(["joy", "anger"], MultiLabelSettings(), LIMITS)
    both = task.decode(*one_row(1.0, 1.0001))
    swapped = task.decode(*one_row(1.0001, 1.0))
    assert [each["label"] for each in both] != [each["label"] for each in swapped]
    assert task.decision(both) == task.decision(swapped) != task.decision(task.decode(*one_row(1.0, -1.0)))


def test_outcomes() -> None:
    """An answer is counted under each of its labels."""
    task = MultiLabelClassification(["joy", "anger"], MultiLabelSettings(), LIMITS)
    assert list(task.predicted_labels(task.decode(*one_row(1.0, 2.0)))) == ["anger", "joy"]
    assert list(task.predicted_labels(task.decode(*one_row(-1.0, -2.0)))) == []


@pytest.mark.parametrize("values", [{"threshold": 1.5}, {"threshold": -0.1}, {"threshold": "0.5"}, {"top_k": 0}])
def test_parameters_refused(values: dict[str, Any]) -> None:
    """A threshold is a probability, and top_k at least one."""
    with pytest.raises(ValidationError):
        MultiLabelParameters.model_validate(values)
