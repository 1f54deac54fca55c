"""Rows that a task refuses: the message names file, row and field, and says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from serving.errors import InputError
from tests.trainer.conftest import training_task
from trainer.data.table import Table
from trainer.recipe.recipe import Recipe
from trainer.setup.splits import load_splits
from trainer.tasks import create_training_task
from trainer.tasks.base import TrainingTask

Row = dict[str, Any]


class Case(NamedTuple):
    """Rows that are refused: training rows, test rows, what the message has, further keys of ``data``."""

    task: str
    train: list[Row]
    test: list[Row]
    expected: str
    data: dict[str, Any] = {}  # noqa: RUF012


def refusal(folder: Path, case: Case) -> str:
    """The message with which a recipe's rows are refused."""
    for name, rows in (("train", case.train), ("test", case.test)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    files = {"train": str(folder / "train.jsonl"), "test": str(folder / "test.jsonl")}
    data = {**files, "validation": files["test"], **case.data}
    training_task = create_training_task(Recipe.model_validate({"task": case.task, "data": data}))
    with pytest.raises(InputError) as caught:
        prepare(training_task)
    return str(caught.value)


def prepare(training_task: TrainingTask) -> None:
    """What happens to the rows before anything is trained."""
    splits = load_splits(training_task)
    training_task.settings(splits.train, splits.labels, 64)


def pairs(second: Any, label: Any = 1.5) -> list[Row]:
    """Two rows, the second with this second text."""
    return [{"text": "a", "other": "b", "label": 1.0}, {"text": "c", "other": second, "label": label}]


def tagged(*tags: Any) -> Row:
    """Four tokens with these tags."""
    return {"tokens": ["Ada", "flew", "to", "Oslo"], "tags": list(tags)}


def asked(start: Any, text: Any = "Oslo") -> Row:
    """A question on a context of eleven characters with an answer at ``start``."""
    return {"question": "where?", "context": "Ada in Oslo", "answers": [{"text": text, "answer_start": start}]}


INTENTS = [{"text": "one", "intent": "a"}, {"text": "two", "intent": "b"}]
EMOTIONS = [{"text": "one", "label": ["joy", "fear"]}, {"text": "two", "label": []}]
TAGGED = [tagged("B-PER", "O", "O", "B-LOC"), tagged("B-PER", "O", "O", "O")]
PAIRED = {"text_pair": "other"}

CASES = {
    "a label that only the test rows have": Case(
        "text-classification", INTENTS, [*INTENTS, {"text": "three", "intent": "c"}],
        "test.jsonl (rows counted from 1, without a header), row 3: intent 'c' is not among the training labels"
        "\n  known labels: a, b", {"label": "intent"},
    ),
    "a row without a label": Case(
        "text-classification", [*INTENTS, {"text": "three"}], INTENTS,
        "train.jsonl (rows counted from 1, without a header), row 3: intent is missing", {"label": "intent"},
    ),
    "a number that has no name": Case(
        "text-classification", [{"text": "one", "label": 0}, {"text": "two", "label": 2}], [],
        "train.jsonl (rows counted from 1, without a header), row 2: label '2' is not a number from 0 to 1",
        {"label_names": ("no", "yes")},
    ),
    "a pair with one side missing": Case(
        "text-classification", pairs(None, "x"), [], "row 2: other is missing", PAIRED
    ),
    "a pair with one side empty": Case("text-classification", pairs(" ", "x"), [], "row 2: other is empty", PAIRED),
    "one of several labels that only the test rows have": Case(
        "multi-label-classification", EMOTIONS, [{"text": "three", "label": ["joy", "rage"]}],
        "test.jsonl (rows counted from 1, without a header), row 1: label 'rage' is not among the training labels",
    ),
    "several labels in no list": Case(
        "multi-label-classification", [*EMOTIONS, {"text": "three", "label": {"joy": [1]}}], EMOTIONS,
        "train.jsonl (rows counted from 1, without a header), row 3: label",
    ),
    "a number that is none": Case(
        "regression", [{"text": "one", "label": 1}, {"text": "two", "label": "about 2"}], [],
        "train.jsonl (rows counted from 1, without a header), row 2: label is 'about 2'; a finite number is needed",
    ),
    "a number that is too large": Case(
        "regression", [{"text": "one", "label": 1}, {"text": "two", "label": 1e300}], [],
        "row 2: label is 1e+300; at most 1e+15 is accepted, in another unit",
    ),
    "a number that is not finite": Case(
        "regression", [{"text": "one", "label": 1}, {"text": "two", "label": "nan"}], [], "row 2: label is 'nan'",
    ),
    "the same number everywhere": Case(
        "regression", [{"text": "one", "label": 1}] * 2, [{"text": "one", "label": 1}],
        "train.jsonl: every training row has the same number",
    ),
    "a pair to be rated with one side missing": Case(
        "regression", pairs(None), [], "train.jsonl (rows counted from 1, without a header), row 2: other is missing",
        PAIRED,
    ),
    "similarity without pairs": Case("feature-extraction", pairs("d"), pairs("d"), "data.text_pair: missing"),
    "a pair to be compared with one side missing": Case(
        "feature-extraction", pairs("d"), pairs(None),
        "test.jsonl (rows counted from 1, without a header), row 2: other is missing", PAIRED,
    ),
    "a tag too few": Case(
        "token-classification", [TAGGED[0], tagged("B-PER", "O", "O")], TAGGED,
        "train.jsonl (rows counted from 1, without a header), row 2: tags has 3 tags for 4 tokens; give one a token",
    ),
    "a tag too many": Case(
        "token-classification", TAGGED, [tagged("O", "O", "O", "O", "O")],
        "test.jsonl (rows counted from 1, without a header), row 1: tags has 5 tags for 4 tokens",
    ),
    "what is no tag": Case(
        "token-classification", [TAGGED[0], tagged("B-PER", "O", "person", "O")], TAGGED,
        "train.jsonl (rows counted from 1, without a header), row 2: tags[2]: 'person' is no tag",
    ),
    "a type of entity that only the test rows have": Case(
        "token-classification", TAGGED, [TAGGED[0], tagged("O", "O", "O", "B-ORG")],
        "test.jsonl (rows counted from 1, without a header), row 2: tags 'B-ORG' is not among the training labels",
    ),
    "tags in no list": Case(
        "token-classification", [TAGGED[0], {"tokens": ["a"], "tags": {"a": "O"}}], TAGGED,
        "train.jsonl (rows counted from 1, without a header), row 2: tags is an object; a list is needed",
    ),
    "rows without an entity": Case(
        "token-classification", [tagged("O", "O", "O", "O")], TAGGED, "train.jsonl: no training row has an entity",
    ),
    "an answer outside its context": Case(
        "question-answering", [asked(7), asked(9)], [asked(7)],
        "train.jsonl (rows counted from 1, without a header), row 2: answers: answer_start is 9, where the"
        " context has 'lo'; the text 'Oslo' is at 7",
    ),
    "an answer before its context": Case(
        "question-answering", [asked(7)], [asked(-1)],
        "test.jsonl (rows counted from 1, without a header), row 1: answers: answer_start is -1",
    ),
    "an answer at another place": Case(
        "question-answering", [asked(7), asked(6)], [asked(7)],
        "row 2: answers: answer_start is 6, where the context has ' Osl'; the text 'Oslo' is at 7",
    ),
    "an empty answer": Case(
        "question-answering", [asked(7), asked(7, "")], [asked(7)], "row 2: answers: an accepted answer is empty",
    ),
    "answers of another shape": Case(
        "question-answering", [asked(7), {**asked(7), "answers": [7]}], [asked(7)],
        "train.jsonl (rows counted from 1, without a header), row 2: answers is not a list of",
    ),
    "a question without its context": Case(
        "question-answering", [asked(7), {"question": "where?", "answers": []}], [asked(7)],
        "row 2: context is missing",
    ),
    "a text without what is to be made of it": Case(
        "text2text-generation", [{"text": "a", "label": "b"}, {"text": "c", "label": ""}], [],
        "train.jsonl (rows counted from 1, without a header), row 2: label is empty",
    ),
    "a prompt without its completion": Case(
        "text-generation", [{"prompt": "a", "completion": "b"}, {"prompt": "c"}], [],
        "train.jsonl (rows counted from 1, without a header), row 2: completion is missing",
    ),
}  # fmt: skip


ANSWERS: dict[str, Row] = {
    "a list": {"answers": [{"text": "Oslo", "answer_start": 7, "answer_id": 3}]},
    "one alone": {"answers": {"text": "Oslo", "answer_start": 7}},
    "the hub's lists": {"answers": {"text": ["Oslo"], "answer_start": [7]}},
    "lists as text": {"answers": "{'text': ['Oslo'], 'answer_start': [7]}"},
    "columns": {"answer": "Oslo", "answer_start": "7"},
}


@pytest.mark.parametrize("shape", ANSWERS)
def test_shapes_of_answers(shape: str) -> None:
    """Answers are read in each shape that data sets have them in."""
    row = {"question": "where?", "context": "Ada in Oslo", **ANSWERS[shape]}
    table = Table("a.csv", {name: [value] for name, value in row.items()})
    assert training_task("question-answering").rows(table).targets == [[{"text": "Oslo", "answer_start": 7}]]


@pytest.mark.parametrize("name", CASES)
def test_refused(tmp_path: Path, name: str) -> None:
    """Rows that cannot be used are named by file, row and field before anything is trained."""
    assert CASES[name].expected in refusal(tmp_path, CASES[name])


def test_every_task_is_here() -> None:
    """No task is without a refusal."""
    from trainer.recipe.recipe import LOSSES

    assert {case.task for case in CASES.values()} == set(LOSSES)
