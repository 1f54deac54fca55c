"""The floor of a metric is the best score of an answer that is the same for every row."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from trainer.data.rows import Rows
from trainer.recipe.recipe import Recipe
from trainer.recipe.sections import Data
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask


def task_of(name: Any) -> TrainingTask:
    return create_training_task(Recipe(task=name, data=Data(train="a.csv", test="b.csv")))


def rows_of(targets: list[Any]) -> Rows:
    places = list(range(len(targets)))
    return Rows("rows", ["a text"] * len(targets), targets, places, [""] * len(targets))


def best_constant(task: TrainingTask, rows: Rows, answers: list[Any], metric: str) -> float:
    return max(task.metrics(rows, [answer] * len(rows))[metric] for answer in answers)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_of_labels(metric: str) -> None:
    """The most frequent label's."""
    task, rows = task_of("text-classification"), rows_of([*"aaaabbc"])
    answers = [[{"label": label, "score": 1.0}] for label in "abc"]
    assert task.floor(metric, rows) == pytest.approx(best_constant(task, rows, answers, metric))


@pytest.mark.parametrize("metric", ["macro_f1", "micro_f1"])
def test_of_several_labels(metric: str) -> None:
    """Of all sets of labels."""
    task, rows = task_of("multi-label-classification"), rows_of([["a", "b"], ["a"], [], ["a", "c"], ["b"], ["a"]])
    sets = [subset for size in range(4) for subset in combinations("abc", size)]
    answers = [[{"label": label, "score": 1.0} for label in subset] for subset in sets]
    assert task.floor(metric, rows) == pytest.approx(best_constant(task, rows, answers, metric))
    assert task.floor(metric, rows_of([[], []])) == 0


def test_of_words() -> None:
    """No answer, where most questions have none; else the most frequent answer."""
    task = task_of("question-answering")
    oslo, none = [{"text": "Oslo", "answer_start": 0}], list[Any]()
    assert task.floor("exact_match", rows_of([oslo, none, none])) == pytest.approx(2 / 3)
    assert task.floor("f1", rows_of([oslo, oslo, none])) == pytest.approx(2 / 3)
    assert task_of("text-generation").floor("f1", rows_of(["the red card", "a card", "blue"])) == pytest.approx(5 / 9)


@pytest.mark.parametrize("name", ["regression", "feature-extraction", "token-classification"])
def test_of_the_others(name: str) -> None:
    """A constant correlates with nothing, and no entity is right by chance."""
    assert task_of(name).floor("f1", rows_of([1.0, 2.0])) == 0
