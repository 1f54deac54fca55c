"""Whether a value is an answer: the schemas of all tasks, against real answers and broken ones."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from serving.bundle.manifest import Limits
from serving.tasks.json_schema import find_mismatch
from serving.tasks.question_answering import QuestionAnswering, QuestionAnsweringSettings
from serving.tasks.regression import Regression, RegressionSettings
from serving.tasks.text_classification import TextClassification, TextClassificationSettings
from serving.tasks.token_classification import TokenClassification, TokenClassificationSettings

TASKS = {
    "labels": TextClassification(["yes", "no"], TextClassificationSettings(), Limits()),
    "number": Regression(["stars"], RegressionSettings(radius=0.5), Limits()),
    "tags": TokenClassification(["O", "B-PER", "I-PER"], TokenClassificationSettings(), Limits()),
    "passage": QuestionAnswering([], QuestionAnsweringSettings(), Limits()),
}
ENTITY = {"entity_group": "PER", "score": 0.5, "word": "Ada", "start": 0, "end": 3}
PASSAGE = {"answer": "Oslo", "score": 0.5, "start": 3, "end": 7}


@pytest.mark.parametrize(
    ("task", "answer", "problem"),
    [
        ("labels", [{"label": "yes", "score": 0.9}], ""),
        ("labels", [], ""),
        ("labels", [{"label": "maybe", "score": 0.9}], r"the answer[0].label is 'maybe', and none of yes, no"),
        ("labels", [{"label": "yes", "score": "0.9"}], "the answer[0].score is '0.9', and no number"),
        ("labels", [{"label": "yes", "score": True}], "the answer[0].score is True, and no number"),
        ("labels", [{"label": "yes"}], "the answer[0] has no 'score'"),
        ("labels", [{"label": "yes", "score": 1, "why": ""}], "the answer[0] has 'why', which is none of label, score"),
        ("labels", {"label": "yes", "score": 1}, "and no array"),
        ("number", [{"label": "stars", "score": 3.5, "low": 3, "high": 4}], ""),
        ("number", [{"label": "stars", "score": 3.5}], "the answer[0] has no 'low'"),
        ("tags", [ENTITY], ""),
        ("tags", [{**ENTITY, "start": -1}], "the answer[0].start is -1, and below 0"),
        ("tags", [{**ENTITY, "start": 0.5}], "and no integer"),
        ("passage", PASSAGE, ""),
        ("passage", [PASSAGE, PASSAGE], ""),
        ("passage", None, "and no object"),
    ],
)
def test_mismatches(task: str, answer: Any, problem: str) -> None:
    """The place and the reason; where there is none, jsonschema finds none either."""
    schema = TASKS[task].answer_schema()
    assert problem in find_mismatch(answer, schema)
    assert bool(find_mismatch(answer, schema)) == (not jsonschema.Draft202012Validator(schema).is_valid(answer))
