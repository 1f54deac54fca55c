"""Columns of a table as checked values; errors name file, row and column.

Rows are counted from 1, without the header.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from serving.errors import InputError
from serving.tasks.inputs import encodable, json_type
from trainer.data.table import Table

MAX_TEXT_CHARACTERS = 1_000_000
_SHOWN = 5


def column(table: Table, key: str, name: str, problem_of: Callable[[Any], str | None]) -> list[Any]:
    """The column that the recipe's ``key`` names; raises InputError naming unusable rows."""
    if name not in table.columns:
        there = ", ".join(table.columns) or "none"
        raise InputError(
            f"{table.name}: no column {name!r} ({key}); columns there: {there}{_separator_hint(table)}", field=key
        )
    if not len(table):
        raise InputError(f"{table.name}: has no rows; give at least one row for each label")
    values = table.columns[name]
    problems = ((number, problem_of(value)) for number, value in enumerate(values, 1))
    raise_problems(table.name, [f"row {number}: {name} {problem}" for number, problem in problems if problem])
    return values


def texts(table: Table, key: str, name: str) -> list[str]:
    return column(table, key, name, text_problem)


def labels(table: Table, key: str, name: str) -> list[str]:
    return [label_name(value) for value in column(table, key, name, _label_problem)]


def numbers(table: Table, key: str, name: str) -> list[float]:
    """Finite numbers, or text that holds one."""
    return [float(value) for value in column(table, key, name, _number_problem)]


def raise_problems(name: str, problems: Sequence[str]) -> None:
    """Raise InputError with the first few problems, if any."""
    if not problems:
        return
    where = f"{name} (rows counted from 1, without a header)"
    if len(problems) == 1:
        raise InputError(f"{where}, {problems[0]}")
    more = [f"… and {len(problems) - _SHOWN} more rows"] if len(problems) > _SHOWN else []
    listed = "\n  ".join([*problems[:_SHOWN], *more])
    raise InputError(f"{where}: {len(problems)} rows cannot be used\n  {listed}")


def text_problem(value: Any) -> str | None:
    if value is None:
        return "is missing"
    if not isinstance(value, str):
        return f"is not text but {json_type(value)}"
    if len(value) > MAX_TEXT_CHARACTERS:
        return f"has {len(value):,} characters; at most {MAX_TEXT_CHARACTERS:,} are accepted"
    if not value.strip():
        return "is empty"
    return None if encodable(value) else "holds half of a surrogate pair, which is no character"


def label_name(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _label_problem(value: Any) -> str | None:
    if value is None or value == "":
        return "is missing"
    if not isinstance(value, (str, int)):
        return f"is {str(value)[:40]}; a label is text, a whole number, or true or false"
    return None if not isinstance(value, str) or encodable(value) else "is not valid Unicode"


def _number_problem(value: Any) -> str | None:
    if value is None or value == "":
        return "is missing"
    try:
        number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    return None if math.isfinite(number) else f"is {str(value)[:40]!r}; a finite number is needed"


def _separator_hint(table: Table) -> str:
    only = next(iter(table.columns), "")
    if len(table.columns) == 1 and any(mark in only for mark in ";\t|,"):
        return "; columns are separated by commas in .csv and by tabs in .tsv"
    return ""
