"""Splits by a column: groups that stay together, the latest rows, sets that the file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from serving.errors import InputError
from tests.tiny import toy_rows, write_csv
from tests.trainer.conftest import training_task
from trainer.recipe.recipe import create_recipe
from trainer.setup.data_warnings import warnings_of
from trainer.setup.splits import Splits, fingerprint, load_splits

ROWS = toy_rows()


def write(folder: Path, values: Sequence[Any], name: str = "rows.csv", rows: Sequence[Any] = ROWS) -> str:
    pairs = zip(rows, values, strict=True)
    return str(write_csv(folder / name, [(*row, value) for row, value in pairs], ("text", "label", "column")))


def split(train: str, **data: Any) -> Splits:
    return load_splits(training_task("text-classification", {"train": train, "validation": 0.2, **data}))


def warned(splits: Splits) -> str:
    return "\n".join(warnings_of(splits, 0.0, ""))


def test_groups(tmp_path: Path) -> None:
    """No group is in two sets, also where the training rows lie in several files."""
    values = [f"customer {at % 12}" for at in range(72)]
    path, more = (write(tmp_path, values[:36], "a.csv", ROWS[:36]), write(tmp_path, values[36:], "b.csv", ROWS[36:]))
    splits = load_splits(
        training_task(
            "text-classification", {"train": (path, more), "test": 0.25, "validation": 0.2, "group": "column"}
        )
    )
    units = [set(rows.units) for _, rows in splits.by_name()]
    assert units[0] | units[1] | units[2] == set(values)
    assert sum(map(len, units)) == 12
    assert 12 <= len(splits.test) <= 24
    assert "data.group" not in warned(splits)


def test_a_test_file_with_known_groups(tmp_path: Path) -> None:
    """Groups that training rows have too are warned of where a file is the test set; it may lack the column."""
    path = write(tmp_path, [f"c{at}" for at in range(72)])
    test = write(tmp_path, ["c1", "c2", "other"], "test.csv", [("new", "track"), ("newer", "refund"), ("x", "cancel")])
    splits = split(path, test=test, validation=test, group="column")
    assert "2 of 3 test rows are of a data.group that training rows have too" in warned(splits)
    bare = write_csv(tmp_path / "bare.csv", [("new", "track")], ("text", "label"))
    assert len(split(path, test=str(bare), group="column").test) == 1


def test_times(tmp_path: Path) -> None:
    """Test rows are later than validation rows, and these than training rows; what they lose is told."""
    rows = [*ROWS, ROWS[0], ROWS[30]]
    path = write(
        tmp_path, [f"2024-{1 + at % 12:02}-{1 + at % 28:02}" for at in range(72)] + ["2025-01-01"] * 2, rows=rows
    )
    splits = split(path, test=0.25, time="column")
    train, validation, test = (rows.times for _, rows in splits.by_name())
    assert max(train) < min(validation) <= max(validation) < min(test)
    assert splits.excluded == {"test": 2}
    assert "2 rows of test set test are excluded" in warned(splits)


def test_sets_of_a_column(tmp_path: Path) -> None:
    """Its values are the sets; rows of any other value are trained on, and a fraction is of these."""
    path = write(tmp_path, ["dev" if at % 9 == 0 else "test" if at % 4 == 1 else "train" for at in range(72)])
    splits = split(path, test="test", validation="dev", split="column")
    assert [set(rows.parts) for _, rows in splits.by_name()] == [{"train"}, {"dev"}, {"test"}]
    assert len(splits.test) == 16
    some = split(path, test="test", split="column")
    assert set(some.validation.parts) == {"train", "dev"}
    files = fingerprint(
        training_task("text-classification", {"train": path, "test": "t", "split": "column"}).data, some
    )
    assert files["files"].keys() == {"train"}


def test_several_test_sets_of_a_column(tmp_path: Path) -> None:
    """Each has metrics of its own."""
    path = write(tmp_path, ["train" if at % 3 else f"test_{at % 2}" for at in range(72)])
    splits = split(path, test={"even": "test_0", "odd": "test_1"}, split="column")
    assert {name: set(rows.parts) for name, rows in splits.tests.items()} == {"even": {"test_0"}, "odd": {"test_1"}}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {"test": "tset", "split": "column"},
            r"data\.test: no row is of 'tset' \(data\.split\); there are: train \(72\)",
        ),
        ({"test": "train", "split": "column"}, r"data\.test: every row is of 'train'"),
        ({"test": 0.2, "group": "colum"}, r"no column 'colum' \(data\.group\); .*did you mean 'column'\?"),
        ({"test": 0.2, "time": "column"}, r"row 1: column is 'train', no time that can be read; give dates such as"),
    ],
)
def test_refused(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    """A column that is not there, or cannot be read, and a set that no row names, are told with what is there."""
    path = write(tmp_path, ["train"] * 72)
    with pytest.raises(InputError, match=f"(?s){expected}"):
        split(path, **data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"time": "a", "group": "b"}, "leave data.group out"),
        ({"time": "a", "folds": 3}, "a fold has rows of every time"),
        ({"group": "label", "label": "label"}, "data.group: 'label' is the column of the answer"),
        ({"split": "a"}, "data.split: belongs to a data.test or data.validation that is one of its values"),
        ({"time": "a", "split_seed": 3}, "data.split_seed: belongs to a split at random"),
        ({"group": "a", "test": "t.csv", "validation": "v.csv"}, "data.group: belongs to a data.test or"),
        ({"group": "a", "streaming": True}, "data.streaming: belongs to a recipe without data.group"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, data: dict[str, Any], expected: str) -> None:
    """What cannot be done, or would do nothing, is refused with the reason."""
    mapping = {"task": "text-classification", "data": {"train": "rows.csv", "test": 0.2, **data}}
    with pytest.raises(InputError, match=expected.replace(".", r"\.")):
        create_recipe(mapping, tmp_path, "recipe.yaml")


def test_sets_are_no_paths(tmp_path: Path) -> None:
    """The names of sets stay as they are where a recipe's paths are made absolute."""
    (tmp_path / "test").mkdir()
    mapping = {"task": "text-classification", "data": {"train": "rows.csv", "test": "test", "split": "set"}}
    assert create_recipe(mapping, tmp_path, "recipe.yaml").data.test == "test"
