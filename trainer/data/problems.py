"""Rows that cannot be used: what is wrong with each, so that all of a recipe's files are told at once.

Who reads rows adds problems and puts `UNUSABLE` in the place of the value; `trainer.setup.sources` then refuses the
files or leaves the rows out, as ``data.unusable_rows`` says.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, Final


class Unusable:
    """Stands for a value that its row's problem is about."""

    def __repr__(self) -> str:
        return "UNUSABLE"


UNUSABLE: Final = Unusable()
_SHOWN = 20
_COUNTED = " (rows counted from 1, without a header)"


class RowProblems:
    """What is wrong with the rows of one file, by their numbers from 1."""

    def __init__(self) -> None:
        self._by_row: dict[int, list[str]] = {}
        self._places: dict[int, str] = {}
        self._hints: list[str] = []

    def add(self, row: int, problem: str, place: str = "") -> None:
        """``place`` is where the file has the row, if that says more than its number: "line 12"."""
        problems = self._by_row.setdefault(row, [])
        if problem not in problems:
            problems.append(problem)
        if place:
            self._places[row] = place

    def locate(self, row: int, place: str) -> None:
        """As `add`'s ``place``, for a row that need not have a problem."""
        self._places.setdefault(row, place)

    def regroup(self, groups: Sequence[Sequence[int]]) -> None:
        """Each of these groups of rows becomes one row, with their problems."""
        by_row, self._by_row, self._places = self._by_row, {}, {}
        for number, group in enumerate(groups, 1):
            place = f"rows {group[0]} to {group[-1]}"
            self.locate(number, place)
            for row in group:
                for problem in by_row.get(row, ()):
                    self.add(number, problem, place)

    def append(self, others: RowProblems, rows_before: int) -> None:
        """With those of the next part of the file."""
        for row, problems in others._by_row.items():
            for problem in problems:
                self.add(row + rows_before, problem, others._places.get(row, ""))
        self._hints += [hint for hint in others._hints if hint not in self._hints]

    def extend(self, others: RowProblems, rows_before: int, file: str) -> None:
        """With those of a further file."""
        for row, problems in others._by_row.items():
            for problem in problems:
                self.add(row + rows_before, problem, f"{file}, {others._places.get(row, f'row {row}')}")
        for row, place in others._places.items():
            self.locate(row + rows_before, f"{file}, {place}")

    def hint(self, text: str) -> None:
        """What to do about some of them, such as the labels that are known."""
        if text not in self._hints:
            self._hints.append(text)

    def __contains__(self, row: int) -> bool:
        return row in self._by_row

    def rows(self) -> Container[int]:
        """Those with a problem, also with one that is added later."""
        return self._by_row

    def __len__(self) -> int:
        """Rows with a problem."""
        return len(self._by_row)

    def message(self, name: str) -> str:
        """Of the file ``name``: its first problems, and their count."""
        lines = [
            f"{self._places.get(row, f'row {row}')}: {'; '.join(self._by_row[row])}" for row in sorted(self._by_row)
        ]
        where = name + (_COUNTED if self._by_row.keys() - self._places.keys() else "")
        hints = [f"\n  {hint}" for hint in self._hints]
        if len(lines) == 1:
            return f"{where}, {lines[0]}{''.join(hints)}"
        more = [f"… and {len(lines) - _SHOWN} more rows"] if len(lines) > _SHOWN else []
        listed = "\n  ".join([*lines[:_SHOWN], *more])
        return f"{where}: {len(lines)} rows cannot be used\n  {listed}{''.join(hints)}"

    def to_record(self, name: str) -> list[dict[str, Any]]:
        """Rows with the same problems together."""
        rows: dict[str, list[int]] = {}
        for row in sorted(self._by_row):
            rows.setdefault("; ".join(self._by_row[row]), []).append(row)
        return [{"file": name, "problem": problem, "rows": numbers} for problem, numbers in rows.items()]


REMEDY = "correct these rows, or leave them out by data.unusable_rows: skip"


def describe(problems: Mapping[str, RowProblems]) -> str:
    """What is wrong with any row of these files, by name; empty if nothing is."""
    return "\n".join(each.message(name) for name, each in problems.items() if len(each))
