"""Training, validation and test files are told by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from onboarding.init.files import find_files, set_of
from onboarding.init.look import look
from onboarding.init.roles import Asked
from serving.errors import InputError
from tests.onboarding.init.writing import LABELS, TEXTS, csv, toy


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train.csv", "train"),
        ("SICK_test_annotated.txt", "test"),
        ("dev-00000-of-00001.parquet", "validation"),
        ("validation.jsonl.gz", "validation"),
        ("strain.csv", None),
        ("train_test.csv", None),
        ("rows.csv", None),
    ],
)
def test_names(name: str, expected: str | None) -> None:
    """A whole word of the name says which set it is; two of them say nothing."""
    assert set_of(name) == expected


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text,label\n")
    return folder


def test_beside_a_training_file(tmp_path: Path) -> None:
    """Its siblings are used, but for those of another data set or kind."""
    touch(tmp_path, "train.csv", "test.csv", "dev.csv", "other_test.csv", "test.jsonl", "rows.csv")
    found = find_files(tmp_path / "train.csv")
    assert (found.test, found.validation) == (str(tmp_path / "test.csv"), str(tmp_path / "dev.csv"))
    assert find_files(tmp_path / "rows.csv").test is None
    assert find_files(tmp_path / "train.csv", "0.3").test == "0.3"


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (("train.csv", "test.csv", "README.txt"), ["train.csv"], "test.csv"),
        (
            ("data/train/a.csv", "data/train/b.csv", "data/test/a.csv"),
            ["data/train/a.csv", "data/train/b.csv"],
            "data/test/a.csv",
        ),
        (("part-0.csv", "part-1.csv"), ["part-0.csv", "part-1.csv"], None),
        (("only.csv", ".hidden.csv", "labels.txt"), ["only.csv"], None),
    ],
)
def test_a_folder(tmp_path: Path, names: tuple[str, ...], train: list[str], test: str | None) -> None:
    """Files and folders name the sets; parts of one set are all trained on."""
    found = find_files(touch(tmp_path, *names))
    assert [Path(each).relative_to(tmp_path).as_posix() for each in found.train] == train
    assert found.test == (None if test is None else str(tmp_path / test))


def test_a_folder_that_does_not_tell(tmp_path: Path) -> None:
    """Files of different kinds without a set's name are listed, and so is an empty folder told."""
    with pytest.raises(InputError, match=r"holds no file of rows; name one file"):
        find_files(tmp_path)
    with pytest.raises(InputError, match=r"is not told: a\.csv, b\.jsonl; name one file, or call them train\.csv"):
        find_files(touch(tmp_path, "a.csv", "b.jsonl"))


def test_a_test_file_without_labels(tmp_path: Path) -> None:
    """It is not used, as its rows measure nothing, and that is told."""
    path = toy(tmp_path, "train.csv")
    csv(tmp_path, "test.csv", text=TEXTS)
    found = look(str(path), Asked())
    assert found.files.test is None
    assert found.notes == ["test.csv is not used as test set: it has no column 'intent'"]
    csv(tmp_path, "test.csv", text=TEXTS, intent=LABELS)
    assert look(str(path), Asked()).files.test


def test_saved_by_datasets(tmp_path: Path) -> None:
    """A folder of save_to_disk is read by data.dataset, with its splits."""
    import datasets

    rows = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS})
    datasets.DatasetDict({"train": rows, "dev": rows, "test": rows}).save_to_disk(str(tmp_path / "saved"))
    found = look(str(tmp_path / "saved"), Asked())
    assert found.files.dataset == tmp_path / "saved"
    assert (found.files.train, found.files.validation, found.files.test) == (("train",), "dev", "test")
    assert found.roles.data == {"text": "text", "label": "label"}
