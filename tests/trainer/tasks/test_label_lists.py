"""Several labels a row, in the forms that files have: never a digit or a list's text as a label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests.trainer.conftest import training_task
from trainer.data.literals import parse_list
from trainer.data.problems import UNUSABLE
from trainer.data.table import Table
from trainer.setup.splits import load_splits
from trainer.tasks.base import TrainingTask

MULTI = "multi-label-classification"
ABC = ("a", "b", "c")


def task(name: str = MULTI, **data: Any) -> TrainingTask:
    return training_task(name, data)


def targets(labels: list[Any], name: str = MULTI, **data: Any) -> list[Any]:
    """What a table of these labels has for targets, without its unusable rows."""
    return task(name, **data).rows(table(labels)).targets


def table(labels: list[Any]) -> Table:
    return Table("a.csv", {"text": [f"text {at}" for at in range(len(labels))], "label": labels})


def problems(labels: list[Any], name: str = MULTI, **data: Any) -> str:
    """What is told of a table's rows."""
    read = table(labels)
    task(name, **data).rows(read)
    return read.problems.message("a.csv")


def refusal(labels: list[Any], name: str = MULTI, **data: Any) -> str:
    with pytest.raises(InputError) as caught:
        task(name, **data).rows(table(labels))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("['a', 'b']", ["a", "b"]),
        ('["a", "b c"]', ["a", "b c"]),
        ("['a' 'b']", ["a", "b"]),
        ("['a'\n 'b']", ["a", "b"]),
        ("('a',)", ["a"]),
        ("{'a', 'b'}", ["a", "b"]),
        ("""["it's", 'x\\ny']""", ["it's", "x\ny"]),
        ("array(['a', 'b'], dtype=object)", ["a", "b"]),
        ("[np.str_('a'), np.str_('b')]", ["a", "b"]),
        ("[np.int64(1), np.float32(0.0)]", [1, 0.0]),
        ("['np.int64(1)']", ["np.int64(1)"]),
        ("tensor([0., 1.], dtype=torch.float64)", [0.0, 1.0]),
        ('"[\\"a\\", \\"b\\"]"', ["a", "b"]),
        ('"[a] b"', None),
        ("[0 1 0]", [0, 1, 0]),
        ("[0. 1.]", [0.0, 1.0]),
        ("[True, False, None]", [True, False, None]),
        (" [] ", []),
        ("set()", []),
        ("[", None),
        ("a, b", None),
        ("[a, b]", None),
        ("[['a'], ['b']]", None),
        ("[__import__('os')]", None),
        ("{'a': 1}", None),
        ("['a', 'b'", None),
    ],
)
def test_a_list_written_as_text(text: str, expected: list[Any] | None) -> None:
    """What Python, JSON and numpy write is read back; anything else is text, and nothing is evaluated."""
    assert parse_list(text) == expected


VECTORS: list[list[Any]] = [
    [[0, 1, 1], [1, 0, 0], [0, 0, 0]],
    [[False, True, True], [True, False, False], [False, False, False]],
    [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ["[0, 1, 1]", "[1, 0, 0]", "[0, 0, 0]"],
    ["[0 1 1]", "[1 0 0]", "[0 0 0]"],
    ["0 1 1", "1 0 0", "0 0 0"],
    ["0,1,1", "1,0,0", "0,0,0"],
    ["011", "100", "000"],
    [["0", "1", "1"], ["1", "0", "0"], ["0", "0", "0"]],
]


@pytest.mark.parametrize("labels", VECTORS)
def test_vectors(labels: list[Any]) -> None:
    """0/1 vectors are the names at their ones; without names the file is refused, with what to give."""
    assert targets(labels, label_names=ABC) == [["b", "c"], ["a"], []]
    assert "label holds vectors of 3 zeros and ones, one for each label" in refusal(labels)
    assert "data.label_names are 2; give their 3 names in the vectors' order" in refusal(labels, label_names=("x", "y"))


def test_objects_of_flags() -> None:
    """An object of 0 and 1 by label, as spaCy's cats, is the labels at the ones, as text too; scores are told."""
    flags = [{"a": 1, "b": 0}, {"a": 0.0, "b": 1.0}, {"a": True, "b": True}, {"a": 0, "b": 0}]
    expected = [["a"], ["b"], ["a", "b"], []]
    assert targets(flags) == expected
    assert targets([str(each) for each in flags]) == expected
    assert targets([json.dumps(each) for each in flags[:2]], "text-classification") == ["a", "b"]
    assert "['a'] is 0.7; a 0 or a 1 is needed, for a score 1 from" in problems([{"a": 0.7}])
    assert problems([{"a": "yes"}]).endswith("['a'] is 'yes'; a 0 or a 1 is needed")


@pytest.mark.parametrize("separator", [",", ";", "|"])
def test_labels_joined_in_a_text(separator: str) -> None:
    """Texts of several labels are none of one label: the file is refused, with the separator to give."""
    labels = [f"a{separator} b", "b", "a", f"b{separator} c"]
    assert f"data.label_separator: {separator!r}" in refusal(labels)
    assert targets(labels, label_separator=separator) == [["a", "b"], ["b"], ["a"], ["b", "c"]]
    assert targets(["Smith, John", "Doe, Jane"]) == [["Smith, John"], ["Doe, Jane"]]


def test_too_few_labels(tmp_path: Path) -> None:
    """Rows of no label, or of one and none, say what they lack."""

    def told(labels: list[Any]) -> str:
        path = tmp_path / "a.jsonl"
        rows = [{"text": f"text {at}", "label": label} for at, label in enumerate(labels)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(InputError) as caught:
            load_splits(task(train=str(path)))
        return str(caught.value)

    assert "no training row has a label" in told([[]] * 8)
    assert "a yes or no about one label task: text-classification" in told([["a"], []] * 8)


def test_vectors_with_a_separator() -> None:
    """data.label_separator splits vectors too."""
    assert targets(["0;1;1", "1;0;0"], label_names=ABC, label_separator=";") == [["b", "c"], ["a"]]


def test_a_row_unlike_the_other_vectors() -> None:
    """Among vectors, a row of another length or with another number is told."""
    labels = [[0, 1, 1], [1, 0, 0], [0, 1, 0], [1, 0], [0, 2, 1]]
    found = problems(labels, label_names=ABC)
    assert "row 4: label is [1, 0]; a vector of 3 zeros and ones is needed" in found
    assert "row 5: label is [0, 2, 1]" in found


def test_class_numbers() -> None:
    """Lists of class numbers are none of vectors, even where only 0 and 1 occur; a later small file is read alike."""
    assert targets([[0], [1, 2], [], [0, 1]], label_names=ABC) == [["a"], ["b", "c"], [], ["a", "b"]]
    assert targets([[0], [0, 1], [1]], label_names=("x", "y")) == [["x"], ["x", "y"], ["y"]]
    multi = task()
    assert multi.rows(table([[0], [1, 2], [2]])).targets == [["0"], ["1", "2"], ["2"]]
    assert multi.rows(table([[0, 1]])).targets == [["0", "1"]]


def test_a_lone_number() -> None:
    """[0] and [1] are vectors of one label or numbers of two: the names tell, and without them the file is refused."""
    assert targets([[0], [1]], label_names=("x", "y")) == [["x"], ["y"]]
    assert targets([[0], [1]], label_names=("x",)) == [[], ["x"]]
    assert "one name, if these are vectors of one label, or two" in refusal([[0], [1]])


def test_a_label_without_rows(tmp_path: Path) -> None:
    """A name that no training row has is warned of: the model does not learn it."""
    path = tmp_path / "a.jsonl"
    rows = [{"text": f"text {at}", "label": [at % 2, 1, 0]} for at in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    splits = load_splits(task(train=str(path), label_names=ABC))
    assert splits.labels == ["a", "b"]
    assert splits.notes == ["labels without a training row, which are not learned: c"]


def test_lists_as_text() -> None:
    """Lists that pandas wrote as text are lists, with and without data.label_separator."""
    labels = ["['a', 'b']", "['b']", "[]", ""]
    assert targets(labels) == targets(labels, label_separator=",") == [["a", "b"], ["b"], [], []]


@pytest.mark.parametrize("text", ["[a, b]", "[a b]", "['a', 'b'", "[__import__('os')]", "{'a': b}", "('a', b)"])
@pytest.mark.parametrize("name", [MULTI, "text-classification"])
def test_what_seems_a_list(text: str, name: str) -> None:
    """Text that begins as a list and cannot be read as one is told by row."""
    assert "no list that can be read; write it as in ['a', 'b']" in problems(["a", text], name)


def test_plain_text_is_a_label() -> None:
    """Text that is no list is a label, brackets or not; a name is as good as its number."""
    assert targets(["[laughter]", "a b", "(a) b, c"]) == [["[laughter]"], ["a b"], ["(a) b, c"]]
    assert targets(["[a],[b]"], label_separator=",") == [["[a]", "[b]"]]
    assert targets([["a"], ["2"]], label_names=ABC) == [["a"], ["c"]]


def test_scores_are_told() -> None:
    """Scores in place of zeros and ones are told with what to do."""
    assert "row 1: label holds the score 0.3" in problems([[0.3, 0.9], [0.1, 0.2]], label_names=("a", "b"))


def test_a_column_for_each_label() -> None:
    """data.label may name a column for each label, with 0 or 1 as number, text or truth."""
    read = Table("a.csv", {"text": ["x", "y", "z", "w"], "a": ["1", "0", "", "1.0"], "b": [True, 0.0, 1, 0.7]})
    assert task(label=("a", "b")).rows(read).targets == [["a", "b"], []]
    found = read.problems.message("a.csv")
    assert "row 3: a is missing; a 0 or a 1 is needed" in found
    assert "row 4: b is 0.7; a 0 or a 1 is needed, for a score 1 from a threshold" in found
    with pytest.raises(InputError, match=r"no columns 'c', 'd' \(data\.label\); columns there: text, a, b"):
        task(label=("a", "c", "d")).rows(read)
    with pytest.raises(InputError, match=r"such as data\.label: \[a, b\]"):
        task().rows(Table("a.csv", {"text": ["x"], "a": ["1"], "b": ["0"]}))


def test_columns_for_another_task() -> None:
    """Other tasks take one column, and say so."""
    for name, expected in (("regression", "make a recipe for each score"), ("text-classification", "give one column")):
        with pytest.raises(ValueError, match=expected):
            task(name, label=("a", "b"))
    with pytest.raises(ValueError, match="named twice"):
        task(label=("a", "a"))
    with pytest.raises(ValueError, match="a list of columns names the labels"):
        task(label=("a", "b"), label_names=("c", "d"))


def test_one_label_in_a_list() -> None:
    """A single-label task takes a list of one label, and tells of more."""
    single = "text-classification"
    assert targets([["a"], "['b']", "[c]", 1.0], single) == ["a", "b", "[c]", "1"]
    found = problems([[0, 1, 0], "['a', 'b']", []], single)
    assert "row 1: label is [0, 1, 0], a list of labels; give one label a row, or task: multi-label" in found
    assert "row 2: label is" in found
    assert "row 3: label is []" in found


def test_numbers_as_pandas_writes_them() -> None:
    """1.0 is the class number 1, NaN is no label, and a decimal comma is told."""
    assert targets(["1.0", "0.0"], "text-classification", label_names=("no", "yes")) == ["yes", "no"]
    assert "row 2: label is missing" in problems(["a", float("nan")], "text-classification")
    assert "a finite number is needed, with a decimal point" in problems(["3,5", "1"], "regression")


def test_tasks_of_label_studio() -> None:
    """Choices in Label Studio's tasks are labels, of one or several a row; a task without an annotation is told."""
    chosen = [["a"], ["a", "b"], []]
    tasks = {
        "data": [{"body": f"text {at}", "meta": at} for at in range(4)],
        "annotations": [[{"result": [{"value": {"choices": each}}]}] for each in chosen] + [[]],
    }
    read = Table("a.json", tasks)
    rows = task().rows(read)
    assert (rows.inputs, rows.targets) == (["text 0", "text 1", "text 2"], chosen)
    assert "row 4: has no annotation" in read.problems.message("a.json")
    tasks = {name: [*values, UNUSABLE] for name, values in tasks.items()}
    assert task().rows(Table("a.json", tasks)).targets == chosen
    single = Table("a.json", {name: values[:1] for name, values in tasks.items()})
    assert task("text-classification").rows(single).targets == ["a"]


def test_rejected_annotations() -> None:
    """What an annotator rejected in Prodigy is no row of any task."""
    read = table(["x", "y"])
    read.columns.update({"answer": ["accept", "reject"], "_input_hash": [1, 2]})
    assert task("text-classification").rows(read).targets == ["x"]
    assert "answer is 'reject'; only rows whose annotation was accepted" in read.problems.message("a.csv")


def test_fields_inside_objects() -> None:
    """A dotted name is that of a field inside a column's objects."""
    read = Table("a.jsonl", {"row": [{"text": "a", "meta": {"kind": "x"}}, {"text": "b", "meta": {"kind": "y"}}]})
    rows = task("text-classification", text="row.text", label="row.meta.kind").rows(read)
    assert (rows.inputs, rows.targets) == (["a", "b"], ["x", "y"])
