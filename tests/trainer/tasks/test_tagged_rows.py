"""Texts with entities as tools and people write them: each is read, or told by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests.trainer.conftest import training_task
from trainer.data.readers import read_file
from trainer.data.rows import Rows
from trainer.data.table import Table
from trainer.model.base_model import find_base_model
from trainer.model.checkpoint import load_tokenizer
from trainer.tasks.base import TrainingTask

TEXT = "Ada K. lives in São Paulo."
ENTITIES = [("PER", "Ada K"), ("LOC", "São Paulo")]


def read(table: Table, **data: Any) -> Rows:
    """The rows that the task reads; raises InputError with the problems of any."""
    rows = training_task("token-classification", data).rows(table)
    if len(table.problems):
        raise InputError(table.problems.message(table.name))
    return rows


def table(*rows: dict[str, Any]) -> Table:
    return Table("a.jsonl", {name: [row.get(name) for row in rows] for name in rows[0]})


def entities(rows: Rows, at: int = 0) -> list[tuple[str, str]]:
    """Type and text of a row's entities, from its words' tags."""
    found: list[tuple[str, int, int]] = []
    target = rows.targets[at]
    for (start, end), tag in zip(target["words"], target["tags"], strict=True):
        if tag[0] == "B":
            found.append((tag[2:], start, end))
        elif tag[0] == "I":
            found[-1] = (found[-1][0], found[-1][1], end)
    return [(kind, rows.inputs[at][start:end]) for kind, start, end in found]


PER, LOC = {"start": 0, "end": 5, "label": "PER"}, {"start": 16, "end": 25, "label": "LOC"}
STUDIO = [
    {"value": {"start": 0, "end": 5, "text": "Ada K", "labels": ["PER"]}, "type": "labels", "from_name": "label"},
    {"value": {"start": 16, "end": 25, "text": "São Paulo", "labels": ["LOC"]}, "type": "labels"},
    {"value": {"choices": ["travel"]}, "type": "choices"},
]

EXPORTS: dict[str, dict[str, Any]] = {
    "doccano": {"id": 1, "text": TEXT, "label": [[0, 5, "PER"], [16, 25, "LOC"]]},
    "doccano of old": {"id": 1, "text": TEXT, "labels": [[0, 5, "PER"], [16, 25, "LOC"]], "meta": {}},
    "doccano with relations": {
        "text": TEXT,
        "entities": [
            {"id": 2, "label": "LOC", "start_offset": 16, "end_offset": 25},
            {"id": 1, "label": "PER", "start_offset": 0, "end_offset": 5},
        ],
        "relations": [],
    },
    "Label Studio": {"id": 1, "data": {"text": TEXT}, "annotations": [{"result": STUDIO}], "predictions": []},
    "Label Studio with a cancelled one": {
        "data": {"review": TEXT}, "annotations": [{"result": [], "was_cancelled": True}, {"result": STUDIO}],
    },
    "Label Studio, short": {"id": 1, "text": TEXT, "label": [each["value"] for each in STUDIO[:2]]},
    "Prodigy": {
        "text": TEXT, "_input_hash": 1, "tokens": [{"text": "Ada", "start": 0, "end": 3, "id": 0}],
        "spans": [{**PER, "token_start": 0, "token_end": 1}, LOC], "answer": "accept",
    },
    "spaCy's documents": {"text": TEXT, "ents": [PER, LOC], "tokens": [{"id": 0, "start": 0, "end": 3}]},
    "Hugging Face's": {"text": TEXT, "entities": [{"entity_group": "PER", "word": "Ada K", "start": 0, "end": 5}, LOC]},
    "lists as text": {"text": TEXT, "entities": "[(0, 5, 'PER'), (16, 25, 'LOC')]"},
    "twice the same": {"text": TEXT, "label": [[0, 5, "PER"], [0, 5, "PER"], [16, 25, "LOC"]]},
    "white space at the ends": {"text": TEXT, "label": [[0, 5, "PER"], [15, 25, "LOC"]]},
    "tokens": {
        "tokens": ["Ada", "K", ".", "lives", "in", "São", "Paulo", "."],
        "tags": ["B-PER", "I-PER", "O", "O", "O", "B-LOC", "I-LOC", "O"],
    },
    "tokens as text": {
        "tokens": "['Ada', 'K', 'lives', 'in', 'São', 'Paulo']",
        "ner_tags": "['B-PER', 'I-PER', 'O', 'O', 'B-LOC', 'I-LOC']",
    },
    "words between spaces": {"text": "Ada K lives in São Paulo", "tags": "I-PER I-PER O O I-LOC I-LOC"},
}  # fmt: skip


@pytest.mark.parametrize("tool", EXPORTS)
def test_export(tool: str) -> None:
    """Each tool's entities are read, whatever it calls its columns."""
    assert entities(read(table(EXPORTS[tool]))) == ENTITIES


def test_offsets_keep_the_text() -> None:
    """A text with offsets is the input as it is written, and its words are those that a server finds."""
    rows = read(table(EXPORTS["doccano"]))
    assert rows.inputs == [TEXT]
    words = [TEXT[start:end] for start, end in rows.targets[0]["words"]]
    assert words == ["Ada", "K", ".", "lives", "in", "São", "Paulo", "."]


def test_white_space_is_told() -> None:
    """That white space at the ends of entities is left out is a note, which training warns of."""
    found = table(EXPORTS["white space at the ends"])
    read(found)
    assert found.notes == ["1 entities are read without the white space at their ends"]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ([[0, 2, "PER"]], "entity [0, 2, 'PER'] is 'Ad', which ends inside the word 'Ada' (0 to 3)"),
        ([[1, 3, "PER"]], "entity [1, 3, 'PER'] is 'da', which begins inside the word 'Ada' (0 to 3)"),
        ([[20, 40, "LOC"]], "entity [20, 40, 'LOC'] is outside of the text, which has 26 characters"),
        ([[5, 5, "LOC"]], "entity [5, 5, 'LOC'] has no characters"),
        ([[-1, 3, "PER"]], "entity [-1, 3, 'PER'] is outside of the text"),
        ([[0, 5, "PER"], [4, 5, "X"]], "entity [4, 5, 'X'] overlaps [0, 5, 'PER']; a word has one tag"),
        ([[0, 2, "A"], [7, 9, "B"]], "'Ad', which ends inside the word 'Ada' (0 to 3); an entity has whole words; ent"),
        ([{**PER, "text": "Bob"}], "entity [0, 5, 'PER'] has 'Ada K' there, not 'Bob'"),
        ([[0, 5]], 'label[0] is [0, 5]; give [start, end, "type"]'),
        ([["x", 5, "PER"]], "label[0] is ['x', 5, 'PER']; give"),
        ([[0, 5, None]], "label[0] is [0, 5, None]; give"),
        (None, "label is missing; a list of entities is needed, empty for a text without one"),
    ],
)
def test_wrong_entity(label: Any, expected: str) -> None:
    """An entity that cannot be a tag is told by its row, with what is there."""
    with pytest.raises(InputError) as caught:
        read(table({"text": "Ada", "label": [[0, 3, "PER"]]}, {"text": TEXT, "label": label}))
    assert "row 2: " in str(caught.value)
    assert expected in str(caught.value)


def test_offsets_in_other_units() -> None:
    """Offsets that count UTF-16 units or bytes are told as such."""
    text = "🙂 Zoë lives in Oslo"
    for offset, unit in ((16, "UTF-16 units"), (19, "UTF-8 bytes")):
        with pytest.raises(InputError, match=f"this one seems to count {unit}"):
            read(table({"text": text, "label": [[offset, offset + 4, "LOC"]]}))


def test_offsets_beyond_the_text() -> None:
    """Offsets outside of the text in any unit are not explained by one."""
    with pytest.raises(InputError) as caught:
        read(table({"text": "Zoë", "label": [[0, 999, "PER"]]}))
    assert "seems to count" not in str(caught.value)


def test_annotations_that_differ() -> None:
    """Of Label Studio's tasks those with no annotation, or with several that differ, are told by row."""
    one, other = {"result": STUDIO[:1]}, {"result": STUDIO[1:]}
    tasks = [{"data": {"text": TEXT}, "annotations": each} for each in ([one], [one, other], [])]
    with pytest.raises(InputError) as caught:
        read(table(*tasks))
    assert "row 2: has 2 annotations that differ" in str(caught.value)
    assert "row 3: has no annotation" in str(caught.value)


PAIR = [TEXT, {"entities": [[0, 5, "PER"], [16, 25, "LOC"]]}]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", PAIR), ("a.json", [PAIR]), ("a.json", {"classes": ["PER", "LOC"], "annotations": [PAIR, None]})],
)
def test_pairs_of_text_and_annotations(tmp_path: Path, name: str, content: Any) -> None:
    """spaCy's training pairs are rows, a line each, in an array, or beside the names of their types."""
    path = tmp_path / name
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
    assert entities(read(read_file(path))) == ENTITIES


def test_conll_under_another_name(tmp_path: Path) -> None:
    """A .txt file whose every line ends in a tag is read as CoNLL, which is noted; any other as a table."""
    path = tmp_path / "a.txt"
    path.write_text("Ada NNP B-PER\nleft VBD O\n", encoding="utf-8")
    found = read_file(path)
    assert entities(read(found)) == [("PER", "Ada")]
    assert found.notes == ["is read as CoNLL, as every line ends in a tag"]
    path.write_text("text\tlabel\na\tO\n", encoding="utf-8")
    assert list(read_file(path).columns) == ["text", "label"]


def kaggle(ids: list[Any], tags: str = "B-per O B-geo") -> Table:
    words = ["Ada", "left", "Oslo"] * (len(ids) // 3)
    return Table("ner.csv", {"Sentence #": ids, "Word": words, "POS": ["X"] * len(ids), "Tag": tags.split() * 2})


@pytest.mark.parametrize("ids", [["Sentence: 1", "", "", "Sentence: 2", "", ""], [1, 1, 1, 2, 2, 2]])
@pytest.mark.parametrize("data", [{"text": "Word", "label": "Tag"}, {}])
def test_a_token_a_row(ids: list[Any], data: dict[str, Any]) -> None:
    """Rows of one token are sentences, told apart by a column with blank or repeated numbers."""
    found = kaggle(ids)
    rows = read(found, **data)
    assert rows.inputs == ["Ada left Oslo"] * 2
    assert entities(rows) == [("per", "Ada"), ("geo", "Oslo")]
    assert found.notes == ["6 rows of one token each are 2 sentences, by the column 'Sentence #'"]


def test_a_token_a_row_without_sentences() -> None:
    """Without such a column it is told what to give; a wrong row is told by its place."""
    found = kaggle([1, 1, 1, 2, 2, 2])
    found.columns["id"] = found.columns.pop("Sentence #")
    with pytest.raises(InputError, match="no column tells the sentences apart; give a column 'sentence_id'"):
        read(found)
    with pytest.raises(InputError, match=r"rows 4 to 6: tags\[0\]: 'b-per' is no tag"):
        read(
            Table(
                "x", {"sent": [1, 1, 1, 2, 2, 2], "token": list("abcdef"), "tag": ["B-x", "O", "O", "b-per", "O", "O"]}
            )
        )


def test_tokens_that_are_numbers() -> None:
    """A number is the text that it was written as."""
    rows = read(table({"tokens": ["in", 2010, "to", 2.5], "tags": ["O", "B-DATE", "O", "O"]}))
    assert rows.inputs == ["in 2010 to 2.5"]
    assert entities(rows) == [("DATE", "2010")]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], "row 1: tokens is an empty list"),
        (None, "row 1: tokens is missing"),
        (["a", None, 2.5], "row 1: tokens [1] is None, null; write the token as text, in quotes"),
        (["a", 1e30, float("nan")], "row 1: tokens [1] is 1e+30, a number; write the token as text, in quotes (and 1"),
        (["a", True], "row 1: tokens [1] is True, a boolean"),
        (["a", ""], "row 1: tokens [1] is an empty text"),
        (["a", "\ud800"], "row 1: tokens [1] holds half of a surrogate pair"),
    ],
)
def test_tokens_that_are_no_text(tokens: Any, expected: str) -> None:
    """What may have been written otherwise is told with its row and place."""
    found = table({"tokens": tokens, "tags": ["O", "O", "B-x"]}, {"tokens": ["a"], "tags": ["B-x"]})
    with pytest.raises(InputError) as caught:
        read(found)
    assert expected in str(caught.value)


def test_tags_by_number() -> None:
    """Numbers are named by the recipe or the data set; without names it is told how."""
    row = {"tokens": ["Ada", "left"], "ner_tags": [1, 0]}
    assert entities(read(table(row), label_names=("O", "B-PER"))) == [("PER", "Ada")]
    named = Table("x", {"tokens": [["Ada"]], "ner_tags": [[1]]}, {"ner_tags": ["O", "B-PER"]})
    assert entities(read(named)) == [("PER", "Ada")]
    with pytest.raises(InputError, match="ner_tags are numbers; give the names of the tags"):
        read(table(row))


def test_tags_without_prefixes() -> None:
    """Types alone are entities of neighbouring tokens, which is noted."""
    found = table({"tokens": ["Ada", "K", "left"], "tags": ["PER", "PER", "O"]})
    assert entities(read(found)) == [("PER", "Ada K")]
    assert found.notes == ["tags are types without B- or I-: neighbouring tokens of one type are one entity"]


DROPPED = "\u200d"


def test_tokens_that_a_tokenizer_drops(tiny_backbone: Path) -> None:
    """An entity is the words that the model sees: those that its tokenizer drops lose their tags, which is noted."""
    found = table(
        {"tokens": ["my", DROPPED, "lamp", "\ufe0f", "is", "\u200b"], "tags": ["B-x", "I-x", "I-x", "I-x", "O", "O"]},
        {"tokens": [DROPPED, "lamp"], "tags": ["B-x", "I-x"]},
    )
    rows = training_task_with(tiny_backbone).rows(found)
    assert [target["tags"] for target in rows.targets] == [["B-x", "I-x", "I-x", "O", "O", "O"], ["O", "B-x"]]
    assert found.notes == ["2 tags of tokens that the model's tokenizer drops are read as O"]


def test_an_entity_that_a_tokenizer_drops(tiny_backbone: Path) -> None:
    """An entity of which the model sees nothing is told by row."""
    found = table({"tokens": ["lamp"], "tags": ["O"]}, {"tokens": ["my", DROPPED], "tags": ["O", "B-x"]})
    assert len(training_task_with(tiny_backbone).rows(found)) == 1
    assert "row 2: the entity x '\\u200d' has no token: the model's tokenizer drops it" in found.problems.message("a")


def training_task_with(backbone: Path) -> TrainingTask:
    """The task as it is after the base model was read."""
    task = training_task("token-classification")
    base = find_base_model(str(backbone), str(backbone), None)
    task.prepare(base, load_tokenizer(base.folder, 32))
    return task


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([[0, 2, "PER"], [4, 8, "PER"]], "ends seem to be the last character's place"),
        ([[1, 4, "PER"], [5, 10, "PER"]], "offsets seem to be counted from 1"),
    ],
)
def test_offsets_of_another_origin(spans: list[Any], expected: str) -> None:
    """Ends that are inclusive, and offsets from 1, are told as what they seem to be, as the file has them."""
    with pytest.raises(InputError) as caught:
        read(table({"text": "Ada Lovel", "label": spans}))
    assert expected in str(caught.value)
    assert f"entity [{spans[0][0]}, {spans[0][1]}, 'PER']" in str(caught.value)


def test_offsets_as_text() -> None:
    """Offsets that are written as text are numbers."""
    assert entities(read(table({"text": "Ada", "label": [["0", "3", "PER"]]}))) == [("PER", "Ada")]


def test_scattered_sentences() -> None:
    """A sentence whose tokens are in several places is refused; numbers may begin again."""
    assert len(read(kaggle([1, 2, 1, 2, 1, 2], "O B-per O"))) == 6
    with pytest.raises(InputError, match=r"the rows of the sentence 2 .* are in several places"):
        read(kaggle([1, 2, 3, 2, 4, 5], "O B-per O"))


def test_tags_between_commas_and_as_floats() -> None:
    """Tags between commas are a list; whole numbers that pandas has made floats are numbers; others are told."""
    assert read(table({"tokens": "a b", "tags": "B-per,O"})).targets[0]["tags"] == ["B-per", "O"]
    names = ("O", "B-per", "I-per")
    assert read(table({"tokens": ["a"], "tags": [1.0]}), label_names=names).targets[0]["tags"] == ["B-per"]
    with pytest.raises(InputError, match="tag '-100' is not a number from 0 to 2"):
        read(table({"tokens": ["a", "b"], "tags": [1, -100]}), label_names=names)
