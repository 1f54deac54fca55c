"""Data sets: a folder gives the values that its files give, with class names where it has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.errors import InputError
from tests.trainer.conftest import training_task
from trainer.data.data_sets import read_dataset
from trainer.data.readers import read_file
from trainer.setup.splits import load_splits

ODD = ["0101", "None", "NA", "True", "2020-01-01", "1.0", "", " x "]


def test_data_set_folder(tmp_path: Path) -> None:
    """A split of a folder is read by its name, with nothing left in the home; an unknown one is told."""
    import datasets

    for split in ("train", "test"):
        datasets.Dataset.from_dict({"text": [split], "label": ["x"]}).to_parquet(str(tmp_path / f"{split}.parquet"))
    before = set(Path(datasets.config.HF_DATASETS_CACHE).rglob("*"))
    assert read_dataset(str(tmp_path), None, "test", None).columns["text"] == ["test"]
    assert set(Path(datasets.config.HF_DATASETS_CACHE).rglob("*")) == before
    with pytest.raises(InputError, match=r"no split 'dev'; splits there: train, test"):
        read_dataset(str(tmp_path), None, "dev", None)


def test_unreachable_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hub can be reached, the message says to give files."""
    import datasets

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(InputError, match=r"owner/name, split train: Couldn't reach.*give files by data\.train"):
        read_dataset("owner/name", None, "train", None)


def csv_of(path: Path, labels: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text,label\n" + "".join(f"text {at},{label}\n" for at, label in enumerate(labels)))
    return path


@pytest.mark.parametrize("name", ["train.csv", "data/train-00000-of-00001.csv", "train/a.csv", "my_train.csv"])
def test_values_are_those_of_the_file(tmp_path: Path, name: str) -> None:
    """Text files in a folder are read as data.train reads them, wherever datasets looks for a split."""
    path = csv_of(tmp_path / name, ODD)
    csv_of(tmp_path / name.replace("train", "test"), ["other"])
    assert read_dataset(str(tmp_path), None, "train", None).columns == read_file(path).columns
    assert read_dataset(str(tmp_path), None, "train", None).columns["label"] == ODD
    assert read_dataset(str(tmp_path), None, "test", None).columns["label"] == ["other"]


def test_several_files_of_a_split(tmp_path: Path) -> None:
    """The files of a split are one after the other, and a problem names its file."""
    csv_of(tmp_path / "train-00000-of-00002.csv", ["a", "0101"])
    csv_of(tmp_path / "train-00001-of-00002.csv", ["NA", "b,too many"])
    found = read_dataset(str(tmp_path), None, "train", None)
    assert found.columns["label"][:3] == ["a", "0101", "NA"]
    assert "train-00001-of-00002.csv, line 3: has 3 fields" in found.problems.message("x")
    assert list(found.usable()) == [0, 1, 2]


README = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': bad
          '1': good
configs:
- config_name: default
  sep: "\\t"
  data_files:
  - split: train
    path: a.csv
  - split: dev
    path: b.csv
---
"""


def test_readme(tmp_path: Path) -> None:
    """A README's splits, separator and class names hold."""
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "a.csv").write_text("text\tlabel\nx\t0\ny\t1\nz\tgood\nw\t-1\n")
    (tmp_path / "b.csv").write_text("text\tlabel\nx\t1\n")
    found = read_dataset(str(tmp_path), None, "train", None)
    assert found.columns == {"text": ["x", "y", "z", "w"], "label": ["bad", "good", "good", None]}
    assert found.label_names == {"label": ["bad", "good"]}
    assert read_dataset(str(tmp_path), None, "dev", None).columns["label"] == ["good"]


def test_lists_of_classes(tmp_path: Path) -> None:
    """Lists of class numbers become names too, and keep the data set's order as labels."""
    import datasets

    classes = datasets.ClassLabel(names=["z", "a", "m"])
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.List(classes)})
    rows = {"text": ["one", "two", "three", "four"], "label": [[0, 1], [2], [], [1, 0, 2]]}
    loaded = datasets.Dataset.from_dict(rows, features=features)
    loaded.to_parquet(str(tmp_path / "a" / "train.parquet"))
    found = read_dataset(str(tmp_path / "a"), None, "train", None)
    assert found.columns["label"] == [["z", "a"], ["m"], [], ["a", "z", "m"]]
    data = dict.fromkeys(("train", "test", "validation"), str(tmp_path / "a" / "train.parquet"))
    assert load_splits(training_task("multi-label-classification", data)).labels == ["z", "a", "m"]
    loaded.save_to_disk(str(tmp_path / "b"))
    assert read_dataset(str(tmp_path / "b"), None, "train", None).columns == found.columns
    datasets.DatasetDict({"train": loaded, "dev": loaded}).save_to_disk(str(tmp_path / "c"))
    assert read_dataset(str(tmp_path / "c"), None, "dev", None).columns == found.columns
    with pytest.raises(InputError, match="no split 'test'; splits there: train, dev"):
        read_dataset(str(tmp_path / "c"), None, "test", None)


def test_files_of_one_name(tmp_path: Path) -> None:
    """Of two files of one name in two folders, the problems of both are told."""
    train, test = csv_of(tmp_path / "a" / "x.csv", ["a", "b", ""]), csv_of(tmp_path / "b" / "x.csv", ["a", ""])
    data = {"train": str(train), "test": str(test), "validation": 0.5}
    with pytest.raises(InputError) as caught:
        load_splits(training_task("text-classification", data))
    assert "x.csv (rows counted from 1, without a header), row 3: label is missing" in str(caught.value)
    assert "b/x.csv (rows counted from 1, without a header), row 2: label is missing" in str(caught.value)
