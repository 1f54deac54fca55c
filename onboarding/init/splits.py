"""How the rows are divided, so that the test score is worth something: named sets, groups, times, or at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onboarding.init.files import Files, set_of
from onboarding.init.names import GROUPS, IDS, LABELS, SETS, TIMES, rank, words_of
from onboarding.init.profile import Column
from serving.errors import InputError
from trainer.data.columns import is_missing
from trainer.data.table import Table
from trainer.data.times import read_times

_FEWEST_GROUPS, _FEWEST_TIMES = 10, 20
_PEOPLE = GROUPS[: GROUPS.index("source")]
"""Of whom several rows are alike, also where the name has no id in it."""
_OLDEST = 10**8
"""Seconds since 1970: smaller numbers are years, counts and the like."""


@dataclass(frozen=True)
class SplitColumns:
    """Columns of the first file that tell how to split."""

    sets: str | None = None
    group: str | None = None
    time: str | None = None

    def names(self) -> list[str]:
        return [name for name in (self.sets, self.group, self.time) if name]


@dataclass(frozen=True)
class Split:
    """Keys of the recipe's section ``data``, why, and what else could be done."""

    data: dict[str, Any]
    reasons: dict[str, str] = field(default_factory=dict)
    alternatives: list[str] = field(default_factory=list)


def find_split_columns(columns: Mapping[str, Column], named: Sequence[str]) -> SplitColumns:
    """``named`` are those that the user has given another part."""
    free = [column for name, column in columns.items() if name not in named]
    return SplitColumns(
        next((column.name for column in free if _names_sets(column)), None),
        _best([column for column in free if _is_group(column)], GROUPS),
        _best([column for column in free if _is_time(column)], TIMES),
    )


def _best(columns: Sequence[Column], hints: tuple[str, ...]) -> str | None:
    return max(columns, key=lambda column: rank(column.name, hints)).name if columns else None


def _names_sets(column: Column) -> bool:
    sets = {set_of(str(value)) for value in set(map(str, column.values))} if column.distinct <= 6 else {None}
    return (
        bool(rank(column.name, SETS)) and None not in sets and "train" in sets and len(sets) > 1 and not column.missing
    )


def _is_group(column: Column) -> bool:
    """Several rows of one customer and the like; a text is none, nor what is called a label."""
    if column.kind not in ("category", "id", "number", "text") or (column.kind == "text" and column.words > 4):
        return False
    words = words_of(column.name)
    named = any(word in _PEOPLE for word in words) or (rank(column.name, GROUPS) and any(word in IDS for word in words))
    repeated = _FEWEST_GROUPS <= column.distinct <= 0.9 * len(column.values)
    return bool(named) and repeated and not any(word in LABELS for word in words)


def _is_time(column: Column) -> bool:
    if column.missing or column.distinct < _FEWEST_TIMES:
        return False
    if column.kind == "number" and rank(column.name, TIMES):
        return all(float(value) > _OLDEST for value in column.values[:100])
    return column.kind == "time"


def choose_split(
    table: Table, columns: Mapping[str, Column], files: Files, found: SplitColumns, label: Any, rows: int
) -> Split:
    """``rows`` are those of all training files."""
    if files.test is not None and not isinstance(_fraction(files.test), float):
        return _by_files(files, found, rows)
    if found.sets and not files.validation and not files.test and not files.dataset:
        return _by_column(columns[found.sets], found, rows)
    return _by_fraction(table, files, found, label, rows)


def _fraction(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _by_files(files: Files, found: SplitColumns, rows: int) -> Split:
    reasons = {key: why for key, why in files.reasons.items() if key != "data.dataset"}
    held: dict[str, Any] = {"test": files.test, "validation": files.validation or validation_fraction(rows)}
    group = {"group": found.group} if found.group and not files.validation else {}
    reasons |= {"data.validation": "it alone chooses the checkpoint"} if not files.validation else {}
    return Split({**held, **group}, {**reasons, **_group_reason(found, group)})


def _by_column(column: Column, found: SplitColumns, rows: int) -> Split:
    counts = Counter(map(str, column.values))
    by_set = {role: value for value in counts if (role := set_of(value))}
    test, validation = by_set.get("test"), by_set.get("validation")
    data: dict[str, Any] = {
        "split": column.name,
        "test": test or test_fraction(rows),
        "validation": validation or validation_fraction(rows),
    }
    group = {"group": found.group} if found.group and not (test and validation) else {}
    listed = ", ".join(f"{value} {count:,}" for value, count in counts.most_common())
    return Split(
        {**data, **group}, {"data.split": f"its values name the sets: {listed}", **_group_reason(found, group)}
    )


def _group_reason(found: SplitColumns, group: Mapping[str, Any]) -> dict[str, str]:
    return {"data.group": f"rows of one {found.group} stay in one set"} if group else {}


def _by_fraction(table: Table, files: Files, found: SplitColumns, label: Any, rows: int) -> Split:
    asked = _fraction(files.test) if files.test is not None else None
    test = asked if isinstance(asked, float) else test_fraction(rows)
    data: dict[str, Any] = {"test": test, "validation": files.validation or validation_fraction(rows)}
    reasons = {"data.test": f"about {test * rows:,.0f} of {rows:,} rows are held out for the one final score"}
    reasons |= {"data.validation": files.reasons.get("data.validation", "it alone chooses the checkpoint")}
    if found.group:
        known = len({str(value) for value in table.columns[found.group] if not is_missing(value)})
        reasons["data.group"] = (
            f"{known:,} of them have several rows, which are alike: in two sets they would flatter the score"
        )
        others = [f"data.time: {found.time}, in its place, tests on the latest rows"] if found.time else []
        return Split({**data, "group": found.group}, reasons, others)
    if found.time and not _labels_come_late(table, found.time, label, test):
        reasons["data.time"] = "a model meets later texts than it has learned: the latest rows are the test rows"
        return Split({**data, "time": found.time}, reasons, ["without data.time, rows are held out at random"])
    late = (
        [f"data.time: {found.time} tests on the latest rows; some labels have no earlier row, though"]
        if found.time
        else []
    )
    return Split(data, reasons, late)


def test_fraction(rows: int) -> float:
    """A thousand test rows or so, where there are enough."""
    return 0.2 if rows < 10_000 else 0.1 if rows < 100_000 else 0.02


def validation_fraction(rows: int) -> float:
    return 0.1 if rows < 50_000 else 0.02


def _labels_come_late(table: Table, time: str, label: Any, test: float) -> bool:
    """Whether some labels have all their rows among the latest, which could not be learned."""
    if not isinstance(label, str) or label not in table.columns:
        return False
    read = read_times(table.columns[time], time)
    try:
        places = sorted(range(len(table)), key=lambda at: read(table.columns[time][at]))
    except InputError:
        return True
    values = [str(table.columns[label][at]) for at in places]
    early = set(values[: int(len(values) * (1 - test) * 0.9)])
    counts = Counter(values)
    return any(value not in early for value in counts) and len(counts) < len(values) / 2
