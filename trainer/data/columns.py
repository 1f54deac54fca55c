"""Columns of a table as checked values; what is wrong with a row is kept in the table's problems."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from serving.errors import InputError
from serving.tasks.inputs import encodable, json_type
from trainer.data.problems import UNUSABLE
from trainer.data.table import Table, join_some

MAX_TEXT_CHARACTERS = 1_000_000
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")


def column(table: Table, key: str, name: str, problem_of: Callable[[Any], str | None]) -> list[Any]:
    """The column that the recipe's ``key`` names; raises InputError where it is missing.

    A row that ``problem_of`` objects to is added to the table's problems, and has UNUSABLE in place of its value.
    """
    require_columns(table, key, [name])

    def check(value: Any) -> Any:
        if problem := problem_of(value):
            raise InputError(f"{name} {problem}")
        return value

    return map_rows(table, check, table.columns[name])


def require_columns(table: Table, key: str, names: Sequence[str]) -> None:
    """Raise InputError where one is missing, or where there are no rows."""
    if missing := [name for name in names if name not in table.columns]:
        there = join_some(list(table.columns)) or "none"
        wanted = "column " if len(missing) == 1 else "columns "
        wanted += ", ".join(map(repr, missing))
        raise InputError(
            f"{table.name}: no {wanted} ({key}); columns there: {there}"
            f"{_nearest(table, missing) or _separator_hint(table) or _naming_hint(table, key)}",
            field=key,
        )
    if not len(table):
        raise InputError(f"{table.name}: has no rows; give at least one row for each label")


def map_rows(table: Table, function: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
    """``function`` of each row's values; the InputError that it raises is the row's problem.

    UNUSABLE is the result for such a row, and for one with an UNUSABLE value.
    """
    results: list[Any] = []
    unusable, add = table.problems.rows(), table.problems.add
    for number, values in enumerate(zip(*columns, strict=True), 1):
        result: Any = UNUSABLE
        if number not in unusable or not any(value is UNUSABLE for value in values):
            try:
                result = function(*values)
            except InputError as error:
                add(number, str(error))
        results.append(result)
    return results


def texts(table: Table, key: str, name: str) -> list[Any]:
    return column(table, key, name, text_problem)


def labels(table: Table, key: str, name: str) -> list[Any]:
    return map_rows(table, label_name, column(table, key, name, _label_problem))


def numbers(table: Table, key: str, name: str) -> list[Any]:
    """Finite numbers, or text that holds one."""
    return map_rows(table, float, column(table, key, name, _number_problem))


def text_problem(value: Any) -> str | None:
    if value is None or value != value:
        return "is missing"
    if not isinstance(value, str):
        return f"is not text but {json_type(value)}"
    if len(value) > MAX_TEXT_CHARACTERS:
        return f"has {len(value):,} characters; at most {MAX_TEXT_CHARACTERS:,} are accepted"
    if not value.strip():
        return "is empty"
    return None if encodable(value) else "holds half of a surrogate pair, which is no character"


def label_name(value: str | float) -> str:
    """A whole number that pandas has made a float is one still."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) else str(value)


def _label_problem(value: Any) -> str | None:
    if is_missing(value):
        return "is missing"
    if isinstance(value, float) and value.is_integer():
        return None
    if not isinstance(value, (str, int)):
        return f"is {str(value)[:40]}; a label is text, a whole number, or true or false"
    return None if not isinstance(value, str) or encodable(value) else "is not valid Unicode"


def _number_problem(value: Any) -> str | None:
    if is_missing(value):
        return "is missing"
    try:
        numeric = isinstance(value, (str, int, float, Decimal)) and not isinstance(value, bool)
        number = float(value) if numeric else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number):
        return None
    comma = isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip())
    return f"is {str(value)[:40]!r}; a finite number is needed" + (", with a decimal point" if comma else "")


def is_missing(value: Any) -> bool:
    """None, a blank text, or the NaN with which pandas fills gaps."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _nearest(table: Table, missing: Sequence[str]) -> str:
    """The column that may be meant: written in another case, with spaces, or nearly so."""
    plain = {" ".join(column.split()).casefold(): column for column in reversed(table.columns)}
    for name in missing:
        near = difflib.get_close_matches(" ".join(name.split()).casefold(), plain, n=1, cutoff=0.75)
        if near:
            return f"; did you mean {plain[near[0]]!r}?"
    return ""


def _naming_hint(table: Table, key: str) -> str:
    """The key names any column, which its default hides."""
    return f"; name one of them by {key}" if key.startswith("data.") and len(table.columns) > 1 else ""


def _separator_hint(table: Table) -> str:
    only = next(iter(table.columns), "")
    if len(table.columns) == 1 and any(mark in only for mark in ";\t|,"):
        return "; columns are separated by commas in .csv and by tabs in .tsv, or as data.delimiter says"
    return ""
