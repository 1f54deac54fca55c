"""Times of a column: dates in the ways that people write them, and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pytest

from serving.errors import InputError
from trainer.data.times import read_times


def order(*values: Any) -> list[float]:
    read = read_times(values, "at")
    return [read(value) for value in values]


@pytest.mark.parametrize(
    "values",
    [
        ("2023-12-31", "2024-01-01T08:30:00Z", "2024-01-01 10:30+01:00", "2024-02-01 00:00:00.5"),
        ("31.12.2023", "1.1.2024", "1.1.2024 9:05", "01.01.2024, 10:00:30"),
        ("01/12/2023", "13/12/2023", "01/01/2024"),
        ("12/01/2023", "12/13/2023", "01/02/2024"),
        ("2023/9/30", "2023/10/1"),
        ("1999", 2000, 2000.5, "1e9"),
        (date(2023, 12, 31), datetime(2024, 1, 1, 8), datetime(2024, 1, 1, 9)),
    ],
)
def test_order(values: Sequence[Any]) -> None:
    """Values sort as their times do."""
    found = order(*values)
    assert found == sorted(found)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "value", ["yesterday", "2024-13-01", "31.02.2024", "1/2/2024", "", None, True, ["2024"], "nan"]
)
def test_no_time(value: Any) -> None:
    """What is no time, or might be two, is refused with what is accepted."""
    with pytest.raises(InputError, match=r"at is .*give dates such as 2024-05-31"):
        order(value)
