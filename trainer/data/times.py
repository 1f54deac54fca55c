"""A column of times as numbers that sort: dates, with or without a time of day, years, or seconds since 1970."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from serving.errors import InputError, quote
from trainer.data.columns import is_missing

ACCEPTED = "give dates such as 2024-05-31 or 2024-05-31 18:30, or numbers"

_PARTS = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[ T,]+(\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?))?")


def read_times(values: Sequence[Any], name: str) -> Callable[[Any], float]:
    """A function that gives a value's place in time; it raises InputError for one that has none.

    Of dates between slashes all ``values`` tell whether the day or the month comes first.
    """
    day_first = _day_comes_first(values)

    def read(value: Any) -> float:
        if is_missing(value):
            raise InputError(f"{name} is missing; {ACCEPTED}")
        found = _number(value)
        found = _moment(value, day_first) if found is None else found
        if found is None:
            raise InputError(f"{name} is {quote(value)}, no time that can be read; {ACCEPTED}")
        return found

    return read


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _moment(value: Any, day_first: bool | None) -> float | None:
    """Seconds since 1970; a time without a zone is taken as UTC."""
    if isinstance(value, str):
        value = _parse(value.strip(), day_first)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def _parse(text: str, day_first: bool | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return None
    first, mark, second, third, clock = parts.groups()
    if len(first) == 4:
        year, month, day = first, second, third
    elif len(third) != 4 or (mark != "." and day_first is None):
        return None
    else:
        year, (day, month) = third, (first, second) if mark == "." or day_first else (second, first)
    try:
        return datetime.combine(date(int(year), int(month), int(day)), time.fromisoformat(_two_digits(clock)))
    except ValueError:
        return None


def _two_digits(clock: str | None) -> str:
    return "00:00" if clock is None else clock if clock[2] == ":" else f"0{clock}"


def _day_comes_first(values: Sequence[Any]) -> bool | None:
    """Of dates such as 31/12/2024 and 12-31-2024; None where none has a day above 12."""
    for value in values:
        parts = _PARTS.fullmatch(value.strip()) if isinstance(value, str) else None
        if parts and len(parts[1]) < 4 and parts[2] != ".":
            if int(parts[1]) > 12:
                return True
            if int(parts[3]) > 12:
                return False
    return None
