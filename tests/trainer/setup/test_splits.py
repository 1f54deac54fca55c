"""From files to three sets: the data gate, the label order, the fingerprint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests.paths import SHARED_DATA
from tests.tiny import toy_rows, write_csv
from tests.trainer.conftest import rows_of, training_task
from trainer.data.rows import Rows
from trainer.recipe.sections import Data
from trainer.setup.data_warnings import warnings_of
from trainer.setup.splits import Splits, fingerprint, load_splits
from trainer.tasks import create_training_task

Pair = tuple[Any, Any]

LIMIT = "data.max_length (64 tokens)"


def load(data: Data) -> Splits:
    """The sets of a recipe of single labels."""
    return load_splits(
        create_training_task(training_task("text-classification").recipe.model_copy(update={"data": data}))
    )


def jsonl(path: Path, rows: Sequence[Pair]) -> str:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return str(path)


def splits_of(folder: Path, train: Sequence[Pair], test: Sequence[Pair] = (), **options: Any) -> Splits:
    """The sets for ``train`` and ``test`` rows as JSON lines; validation is the test file by default."""
    test_path = jsonl(folder / "test.jsonl", test or train[:2])
    options = {"validation": test_path, **options}
    return load(Data(train=jsonl(folder / "train.jsonl", train), test=test_path, **options))


def message(folder: Path, train: Sequence[Pair], test: Sequence[Pair] = (), **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        splits_of(folder, train, test, **options)
    return str(caught.value)


GOOD: list[Pair] = [("one", "a"), ("two", "b"), ("three", "a"), ("four", "b")]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("", "a"), "row 5: text is empty"),
        (("  \n", "a"), "row 5: text is empty"),
        ((None, "a"), "row 5: text is missing"),
        ((7, "a"), "row 5: text is not text but a number"),
        ((["x"], "a"), "row 5: text is not text but a list"),
        (("x" * 1_000_001, "a"), "row 5: text has 1,000,001 characters; at most 1,000,000 are accepted"),
        (("half \ud83d", "a"), "row 5: text holds half of a surrogate pair"),
        (("x", None), "row 5: label is missing"),
        (("x", ""), "row 5: label is missing"),
        (("x", " "), "row 5: label is missing"),
        (("x", 0.5), "row 5: label is 0.5; a label is text, a whole number, or true or false"),
    ],
)
def test_bad_row(tmp_path: Path, row: Pair, expected: str) -> None:
    """A row that cannot be used is named by file and number, counted from 1."""
    found = message(tmp_path, [*GOOD, row])
    assert found.startswith("train.jsonl (rows counted from 1, without a header)")
    assert expected in found


def test_many_bad_rows(tmp_path: Path) -> None:
    """All bad rows of all files are told at once: counted, the first twenty of a file shown, each with all problems."""
    found = message(tmp_path, [*GOOD, *[("", None)] * 25], [("x", "a"), (7, "c")], validation=0.5)
    assert "train.jsonl (rows counted from 1, without a header): 25 rows cannot be used" in found
    assert "row 24: text is empty; label is missing\n" in found
    assert "row 25" not in found
    assert "and 5 more rows" in found
    assert "test.jsonl (rows counted from 1, without a header), row 2: text is not text but a number" in found
    assert found.endswith("leave them out by data.unusable_rows: skip")


def test_bad_rows_and_unknown_labels(tmp_path: Path) -> None:
    """A held-out label without training rows is told beside rows without a text."""
    found = message(tmp_path, [*GOOD, ("", "a")], [("x", "a"), ("y", "c")])
    assert "row 5: text is empty" in found
    assert "row 2: label 'c' is not among the training labels" in found


def test_skipped_rows(tmp_path: Path) -> None:
    """Rows that cannot be used are left out where the recipe says so: counted, listed, the others' numbers kept."""
    train = [("", "a"), *GOOD, (None, "a"), ("", "b")]
    test = [("x", "a"), ("y", "c"), ("z", "b")]
    splits = splits_of(tmp_path, train, test, unusable_rows="skip")
    assert splits.train.numbers == [2, 3, 4, 5]
    assert splits.test.numbers == [1, 3]
    assert splits.unusable_rows == [
        {"file": "train.jsonl", "problem": "text is empty", "rows": [1, 7]},
        {"file": "train.jsonl", "problem": "text is missing", "rows": [6]},
        {"file": "test.jsonl", "problem": "label 'c' is not among the training labels", "rows": [2]},
    ]
    warnings = warnings_of(splits, 0.0, LIMIT)
    assert warnings[:2] == [
        "train.jsonl: 3 rows cannot be used and are left out",
        "test.jsonl: 1 row cannot be used and is left out",
    ]
    data = Data(train=str(tmp_path / "train.jsonl"), test=str(tmp_path / "test.jsonl"), unusable_rows="skip")
    assert fingerprint(data, splits)["unusable_rows"] == splits.unusable_rows


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ([("", "a"), ("", "b")], "train.jsonl: no row can be used (2 rows are left out as unusable)"),
        (
            [("x", "a"), ("", "b")],
            "every training row has the label 'a'; give at least two labels (1 row is left out",
        ),
    ],
)
def test_nothing_left(tmp_path: Path, train: list[Pair], expected: str) -> None:
    """Where leaving rows out leaves nothing to learn, the message says so."""
    assert expected in message(tmp_path, train, [("x", "a")], unusable_rows="skip")


def test_why_nothing_is_left(tmp_path: Path) -> None:
    """Where leaving rows out leaves none, what is wrong with them is told."""
    found = message(tmp_path, GOOD, [("x", "other"), ("y", "A")], unusable_rows="skip")
    assert "test.jsonl: no row can be used (2 rows are left out as unusable)\n" in found
    assert "row 1: label 'other' is not among the training labels" in found


def test_labels_that_are_left_out(tmp_path: Path) -> None:
    """A label whose rows cannot be used is named."""
    splits = splits_of(tmp_path, [*GOOD, ("", "rare"), (" ", "rare")], unusable_rows="skip")
    assert splits.labels == ["a", "b"]
    assert "train.jsonl: labels whose rows are all left out: rare" in splits.notes


def test_descriptions_of_no_label(tmp_path: Path) -> None:
    """A few-shot label that no row has is refused before anything is computed."""
    path = jsonl(tmp_path / "a.jsonl", GOOD)
    files = {"train": path, "test": path, "validation": path}
    few_shot = {"examples_per_label": 0, "label_descriptions": {"x": "?"}}
    with pytest.raises(InputError, match="label_descriptions: 'x' is no label; labels are: a, b"):
        load_splits(training_task("text-classification", files, few_shot=few_shot))


def test_unknown_label(tmp_path: Path) -> None:
    """A label of the test file that training never saw is named with its row and the known ones."""
    found = message(tmp_path, GOOD, [("x", "a"), ("y", "c")], validation=0.5)
    assert "test.jsonl" in found
    assert "row 2: label 'c' is not among the training labels" in found
    assert "known labels: a, b" in found


def test_one_class(tmp_path: Path) -> None:
    """One label only is nothing to learn."""
    assert "every training row has the label 'a'" in message(tmp_path, [("one", "a"), ("two", "a")])


def test_header_only(tmp_path: Path) -> None:
    """A file with a header and no rows is refused."""
    path = write_csv(tmp_path / "train.csv", [])
    with pytest.raises(InputError, match=r"train\.csv: has no rows"):
        load(Data(train=str(path), test=0.2))


def test_missing_column(tmp_path: Path) -> None:
    """A missing column's message lists those that are there, and suspects a wrong separator."""
    path = write_csv(tmp_path / "a.csv", [("one", "a")], header=("body", "intent"))
    with pytest.raises(InputError, match=r"no column 'text' \(data\.text\); columns there: body, intent") as caught:
        load(Data(train=str(path), test=0.2))
    assert caught.value.field == "data.text"
    write_csv(path, [("one", "a")], header=(" Text", "label"))
    with pytest.raises(InputError, match=r"columns there:  Text, label; did you mean ' Text'\?"):
        load(Data(train=str(path), test=0.2))
    path.write_text("text;label\none;a;b\n")
    with pytest.raises(InputError, match=r"columns are separated by commas in \.csv"):
        load(Data(train=str(path), test=0.2))


def test_label_types(tmp_path: Path) -> None:
    """Whole numbers and booleans become their names, and names with numbers sort as people count."""
    numbers = splits_of(tmp_path, [("a", 10), ("b", 2), ("c", 10), ("d", 2)])
    assert numbers.labels == ["2", "10"]
    truth = splits_of(tmp_path, [("a", True), ("b", False)])
    assert truth.labels == ["false", "true"]


def test_class_order(tmp_path: Path) -> None:
    """A ClassLabel column's own order is kept."""
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["z", "a"])})
    rows = datasets.Dataset.from_dict({"text": list("abcdefgh"), "label": [0, 1] * 4}, features=features)
    rows.to_parquet(str(tmp_path / "a.parquet"))
    data = Data(train=str(tmp_path / "a.parquet"), test=0.25, validation=0.4)
    assert load(data).labels == ["z", "a"]


def test_test_rows_stay(tmp_path: Path) -> None:
    """Another validation fraction moves no row into or out of the test set; another split seed does."""
    path = str(write_csv(tmp_path / "a.csv", toy_rows()))
    small = load(Data(train=path, test=0.25, validation=0.1))
    large = load(Data(train=path, test=0.25, validation=0.4))
    other = load(Data(train=path, test=0.25, validation=0.1, split_seed=1))
    assert small.test == large.test
    assert small.test != other.test


def test_fingerprint(tmp_path: Path) -> None:
    """The fingerprint names files without their folders, and changes with any text."""
    path = write_csv(tmp_path / "a.csv", toy_rows())
    data = Data(train=str(path), test=0.25)
    before = fingerprint(data, load(data))
    assert before["files"]["train"]["name"] == "a.csv"
    assert before["splits"]["test"]["rows"] == 18
    assert before["splits"]["test"]["labels"] == {"cancel": 6, "refund": 6, "track": 6}
    rows = [(f"{text}!", label) for text, label in toy_rows()]
    write_csv(path, rows)
    after = fingerprint(data, load(data))
    assert after["splits"]["test"]["sha256"] != before["splits"]["test"]["sha256"]


def warned(train: Rows, test: Rows, truncated: float = 0.0) -> str:
    classes = training_task("text-classification")
    sets = {"train": train, "validation": test, "test": test}
    counts = {name: classes.label_counts(rows) for name, rows in sets.items()}
    return "\n".join(warnings_of(Splits(**sets, labels=sorted(counts["train"]), counts=counts), truncated, LIMIT))


def test_warnings() -> None:
    """What is usable but suspicious is pointed out, and clean data gives no warning."""
    clean = rows_of(*((f"text {n}", label) for n in range(6) for label in ("a", "b")))
    held = rows_of(("new", "a"), ("newer", "b"))
    assert warned(clean, rows_of(("other", "a"), ("more", "b"))) == "6 texts occur with different labels, such as " + (
        "row 1 of x and row 2 of x"
    )
    distinct = rows_of(*((f"{label} text {n}", label) for n in range(6) for label in ("a", "b")))
    assert warned(distinct, held) == ""
    assert "1 of 2 test texts are in the training set too" in warned(distinct, rows_of(("A  TEXT 1", "a"), ("x", "b")))
    assert "fewer than 5 training rows: a (1), b (1)" in warned(rows_of(("x", "a"), ("y", "b")), held)
    assert "labels without a test row, so their quality is not measured: b" in warned(distinct, rows_of(("n", "a")))
    assert "case, spacing, Unicode spelling or a .0: 'A' and 'a'" in warned(rows_of(("x", "A"), ("y", "a")), held)
    assert "every test row has the same answer" in warned(distinct, rows_of(("n", "a"), ("m", "a")))
    spellings = rows_of(("x", "caf\u00e9"), ("y", "cafe\u0301"), ("z", "caf\u00e9\u200b"))
    assert r"'caf\xe9\u200b'" in warned(spellings, held)
    assert r"('cafe\u0301')" in warned(spellings, held)
    joined = rows_of(("x", "a,b"), ("y", "b"))
    assert "labels such as 'a,b' seem to be several with ',' between them" in warned(joined, held)
    assert "3.0% of the training texts are longer than data.max_length (64 tokens)" in warned(distinct, held, 0.03)
    skewed = rows_of(*((f"t{n}", "a") for n in range(100)), *((f"u{n}", "b") for n in range(5)))
    assert "strong imbalance: 100 rows of a, 5 of b" in warned(skewed, held)


@pytest.mark.parametrize("name", ["sst2"])
def test_real_files(name: str) -> None:
    """A public TSV file without header, quotes in its texts, is read row for row."""
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip("the public data sets are not beside the checkout (../shared/data)")
    data = Data(
        train=str(folder / "train.tsv"),
        validation=str(folder / "dev.tsv"),
        test=str(folder / "test.tsv"),
        column_names=("text", "label"),
    )
    splits = load(data)
    assert [len(held) for _, held in splits.by_name()] == [6920, 872, 1821]
    assert splits.labels == ["0", "1"]


def test_an_option_of_other_files_is_refused(tmp_path: Path) -> None:
    """What changes nothing in any of the files is told; in a recipe of several kinds, one that it is for is enough."""
    rows = [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y")]
    table = str(write_csv(tmp_path / "rows.csv", rows, ("text", "label")))
    with pytest.raises(
        InputError, match=r"data\.delimiter: is for \.csv and \.tsv files, .* nothing in train\.jsonl, te"
    ):
        splits_of(tmp_path, rows, delimiter=";")
    with pytest.raises(InputError, match=r"data\.field: is for \.json files, and changes nothing in rows\.csv; leave"):
        load(Data(train=table, test=table, validation=table, field="rows"))
    assert len(splits_of(tmp_path, rows, validation=table, delimiter=",").validation) == 4
