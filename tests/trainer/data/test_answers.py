"""Answers to questions, whatever a table calls them."""

from __future__ import annotations

from typing import Any

import pytest

from serving.errors import InputError
from trainer.data.answers import answers_problem, placed_answers, with_answers
from trainer.data.table import Table

CONTEXT = "Oslo lies by a fjord; a fjord is deep"
OSLO = [{"text": "Oslo", "answer_start": 0}]


@pytest.mark.parametrize(
    "value",
    [
        OSLO,
        {"text": ["Oslo"], "answer_start": [0]},
        {"text": "Oslo", "answer_start": 0},
        {"text": ["Oslo"]},
        ["Oslo"],
        [{"text": "Oslo"}],
        "{'text': ['Oslo'], 'answer_start': [0]}",
        "{'text': array(['Oslo'], dtype=object), 'answer_start': array([0])}",
        '{"text": "Oslo", "answer_start": "0.0"}',
    ],
)
def test_forms(value: Any) -> None:
    """Lists, objects of lists, texts alone, and each as text, with numpy's arrays in it."""
    assert answers_problem(value) is None
    assert placed_answers(value, CONTEXT) == OSLO


@pytest.mark.parametrize("value", [[3], 3, None, {"text": ["a"], "answer_start": []}, [["Oslo", 0]], "Oslo"])
def test_other_shapes(value: Any) -> None:
    """What is none of them is told."""
    assert answers_problem(value) == 'is not a list of {"text": …, "answer_start": …}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a fjord"], "'a fjord' is 2 times in the context; give its answer_start"),
        (["Bergen"], "'Bergen' is not in the context"),
        ([" "], "an accepted answer is empty"),
        ([{"text": "Oslo", "answer_start": 3}], "answer_start is 3, where the context has 'o li'; the text 'Oslo' is"),
    ],
)
def test_places(value: Any, expected: str) -> None:
    """An answer without a place has to be in the context once."""
    with pytest.raises(InputError, match=expected):
        placed_answers(value, CONTEXT)


def test_columns_of_answers() -> None:
    """A column of texts, with one of places beside it or without, is one of answers; blank ones have none."""
    columns = {"context": [CONTEXT] * 2, "answer_text": ["Oslo", ""], "answer_start": [0.0, None]}
    for names in (columns.keys(), columns.keys() - {"answer_start"}):
        answers = with_answers(Table("a.csv", {name: columns[name] for name in names})).columns["answers"]
        assert [placed_answers(each, CONTEXT) for each in answers] == [OSLO, []]
