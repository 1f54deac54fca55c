"""Rows without labels are read from every form that training reads, before the training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from tests.trainer.conftest import rows_of, training_task
from trainer.data.table import Table
from trainer.model.checkpoint import load_tokenizer
from trainer.setup.unlabelled import read_unlabelled

TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}" + (
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
SPAN = {"value": {"start": 0, "end": 4, "labels": ["person"]}}
ASKED, ANSWERED = {"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}
SQUAD = {"data": [{"paragraphs": [{"context": "Anna smiled", "qas": [{"id": "1", "question": "who?"}]}]}]}
QUESTION = {"question": "who?", "context": "Anna smiled"}


@pytest.fixture(scope="module")
def tokenizer(tiny_backbone: Path) -> PreTrainedTokenizerFast:
    """With a chat template."""
    found = load_tokenizer(tiny_backbone)
    found.chat_template = TEMPLATE
    return found


def read(folder: Path, tokenizer: PreTrainedTokenizerFast, task: str, content: str, name: str = "a.json", **data: Any):  # type: ignore[no-untyped-def]
    """The inputs of a file of ``export.rows``."""
    (folder / name).write_text(content)
    metric = {} if task in ("question-answering", "text-generation") else {"metric_for_best_model": None}
    recipe = training_task(task, data, training=metric).recipe
    export = recipe.export.model_copy(update={"rows": str(folder / name)})
    reader = type(training_task(task))(recipe.model_copy(update={"export": export}))
    reader.read_with(tokenizer, "tiny")
    found = read_unlabelled(reader, lambda _: None, rows_of(), {})
    assert found is not None
    return found.rows.inputs


@pytest.mark.parametrize(
    ("task", "content", "expected"),
    [
        ("text-classification", [{"data": {"text": "a"}, "annotations": []}, {"data": {"text": "b"}}], ["a", "b"]),
        ("text-classification", [{"text": "a", "label": None}, {"text": "b"}], ["a", "b"]),
        (
            "token-classification",
            [{"data": {"text": "Anna smiled"}, "annotations": [{"result": [SPAN]}]}],
            ["Anna smiled"],
        ),
        ("token-classification", [{"data": {"text": "Anna smiled"}}], ["Anna smiled"]),
        ("token-classification", [{"text": "Anna smiled", "entities": [[0, 3, "person"]]}], ["Anna smiled"]),
        ("token-classification", [{"tokens": ["Anna", "smiled"], "tags": ["nonsense"]}], ["Anna smiled"]),
        ("token-classification", [{"tokens": ["Anna", "smiled"]}], ["Anna smiled"]),
        ("token-classification", [["Anna smiled", {"entities": [[0, 4, "person"]]}]], ["Anna smiled"]),
        ("question-answering", [QUESTION], [QUESTION]),
        ("question-answering", SQUAD, [QUESTION]),
        ("text-generation", [{"prompt": "hello"}], ["hello"]),
        ("text-generation", [{"messages": [ASKED]}], ["user: hello\nassistant: "]),
        ("text-generation", [{"messages": [ASKED, ANSWERED]}], ["user: hello\nassistant: "]),
        ("text-generation", [{"prompt": [ASKED]}], ["user: hello\nassistant: "]),
        ("text-generation", [{"conversations": [{"from": "human", "value": "hello"}]}], ["user: hello\nassistant: "]),
        ("text-generation", [{"text": "one two"}], ["one"]),
    ],
)
def test_forms(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, task: str, content: Any, expected: Sequence[Any]
) -> None:
    """What a training reads, with answers or without, is read as inputs."""
    assert read(tmp_path, tokenizer, task, json.dumps(content)) == expected


@pytest.mark.parametrize("tags", ["", ",Tag"])
def test_a_token_a_row(tmp_path: Path, tokenizer: PreTrainedTokenizerFast, tags: str) -> None:
    """A table with a token a row has sentences, also without tags."""
    tag = ",O" if tags else ""
    content = f"Sentence #,Word{tags}\n1,Anna{tag}\n1,smiled{tag}\n2,So{tag}\n"
    assert read(tmp_path, tokenizer, "token-classification", content, "a.csv") == ["Anna smiled", "So"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[{"text": ""}]', "export.rows: a.json .*row 1: text is empty"),
        ('[{"texts": "a"}]', "export.rows: a.json: no column 'text'"),
    ],
)
def test_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerFast, content: str, expected: str) -> None:
    """Rows that cannot be used are told under the recipe's key."""
    with pytest.raises(InputError, match=expected):
        read(tmp_path, tokenizer, "text-classification", content)


@pytest.mark.parametrize(
    ("task", "columns", "expected"),
    [
        ("text-generation", {"messages": [[ASKED], [ASKED]]}, [None, None]),
        ("text-generation", {"messages": [[ASKED, ANSWERED], [ASKED]]}, ["hi"]),
        ("text-classification", {"data": [{"text": "a"}, {"text": "b"}], "annotations": [[], []]}, [None, None]),
        ("question-answering", {"question": ["q"], "context": ["a b"], "answer": ["b"]}, ["b"]),
    ],
)
def test_rows_of_an_import(
    tokenizer: PreTrainedTokenizerFast, task: str, columns: dict[str, list[Any]], expected: list[Any]
) -> None:
    """The rows of an imported model have answers if the file has any; then those without have a problem."""
    reader = training_task(task, imported={"labels": ("a", "b")})
    reader.read_with(tokenizer, "tiny")
    targets = reader.rows(Table("a.json", columns)).targets
    assert [_text(target) for target in targets] == expected


def _text(target: Any) -> Any:
    """Of an answer, however it is written down."""
    found = target[0] if isinstance(target, list) else target
    return found["text"] if isinstance(found, dict) else found
