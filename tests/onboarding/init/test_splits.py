"""The split that is proposed: named sets, groups, times, or at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from onboarding.init.look import look
from onboarding.init.roles import Asked
from onboarding.init.splits import Split, choose_split
from onboarding.init.splits import test_fraction as fraction_of
from tests.onboarding.init.writing import LABELS, TEXTS, csv

NUMBERED = range(len(TEXTS))
DAYS = [f"2024-{1 + n % 12:02}-{1 + n % 28:02}" for n in NUMBERED]


def split_of(folder: Path, labels: Sequence[str] = LABELS, **columns: Sequence[Any]) -> Split:
    seen = look(str(csv(folder, text=TEXTS, label=labels, **columns)), Asked())
    assert seen.roles.data == {"text": "text", "label": "label"}
    return choose_split(seen.table, seen.columns, seen.files, seen.split_columns, "label", seen.rows)


def test_at_random(tmp_path: Path) -> None:
    """Rows that have nothing in common are held out at random."""
    found = split_of(tmp_path, id=NUMBERED)
    assert found.data == {"test": 0.2, "validation": 0.1}
    assert "about 14 of 72 rows" in found.reasons["data.test"]


@pytest.mark.parametrize("name", ["customer_id", "Author", "userId", "movie_id"])
def test_groups(tmp_path: Path, name: str) -> None:
    """Several rows of one customer and the like stay together."""
    found = split_of(tmp_path, **{name: [f"c{n % 20}" for n in NUMBERED]})
    assert found.data["group"] == name


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_id", [f"c{n}" for n in NUMBERED]),  # each has one row
        ("customer_id", ["a" if n % 2 else "b" for n in NUMBERED]),  # two cannot be divided
        ("country", [f"c{n % 20}" for n in NUMBERED]),  # says nothing of who belongs together
    ],
)
def test_no_groups(tmp_path: Path, name: str, values: Sequence[str]) -> None:
    """What has a row each, or hardly any values, or no such name, is no group."""
    assert "group" not in split_of(tmp_path, **{name: values}).data


def test_times(tmp_path: Path) -> None:
    """Dates make the latest rows the test rows, unless a label has late rows alone; groups go first."""
    assert split_of(tmp_path, created_at=DAYS).data["time"] == "created_at"
    found = split_of(tmp_path, ["a", "b"] * 30 + ["new"] * 12, created_at=sorted(DAYS))
    assert "time" not in found.data
    assert "some labels have no earlier row" in found.alternatives[0]
    both = split_of(tmp_path, created_at=DAYS, user_id=[f"u{n % 20}" for n in NUMBERED])
    assert both.data["group"] == "user_id"
    assert "data.time: created_at" in both.alternatives[0]


def test_named_sets(tmp_path: Path) -> None:
    """A column whose values are the sets' names divides the rows."""
    sets = ["train", "train", "train", "dev", "test"] * 14 + ["train"] * 2
    found = split_of(tmp_path, split=sets)
    assert found.data == {"split": "split", "test": "test", "validation": "dev"}
    assert found.reasons["data.split"] == "its values name the sets: train 44, dev 14, test 14"
    assert split_of(tmp_path, split=["x", "y"] * 36).data == {"test": 0.2, "validation": 0.1}


def test_large_data() -> None:
    """About a thousand rows or more are tested on, not a fifth of millions."""
    assert [fraction_of(rows) * rows for rows in (1_000, 10_000, 200_000)] == [200, 1000, 4000]
