"""Labels as the training rows have them: read, named, ordered, and required of held-out rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from serving.errors import InputError
from trainer.data import columns
from trainer.data.rows import Rows, plain
from trainer.recipe.sections import Data


def names_of_numbers(data: Data) -> list[str] | None:
    """What ``data.label_names`` says: names for labels that are written as numbers from 0; raises InputError."""
    if data.label_names is None:
        return None
    names = _read_names(Path(data.label_names)) if isinstance(data.label_names, str) else list(data.label_names)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"data.label_names: {twice[0]!r} is there twice", field="data.label_names")
    return names


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"data.label_names: {path}: there is no such file", field="data.label_names")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def named(
    labels: Sequence[str], names: Sequence[str] | None, table: str, rows: Sequence[int] | None = None
) -> list[str]:
    """Labels with their numbers replaced by names; raises InputError naming the rows whose number has no name.

    ``rows`` are the labels' row numbers, where they are not one a row.
    """
    if names is None:
        return list(labels)
    numbers = {str(number): name for number, name in enumerate(names)}
    columns.refuse(
        table,
        [
            f"row {row}: label {label!r} is no number from 0 to {len(names) - 1}, which data.label_names has names for"
            for row, label in zip(rows or range(1, len(labels) + 1), labels, strict=True)
            if label not in numbers
        ],
    )
    return [numbers[label] for label in labels]


def ordered(seen: Iterable[str], wanted: Sequence[str] | None) -> list[str]:
    """The labels that were seen, in the order wanted, or else in natural order."""
    found = set(seen)
    return [name for name in wanted if name in found] if wanted else sorted(found, key=_natural)


def require_two(labels: Sequence[str], train: Rows) -> None:
    """A classifier tells labels apart, so there must be two; else InputError."""
    if len(labels) < 2:
        raise InputError(f"{train.name}: every training row has the label {labels[0]!r}; give at least two labels")


def require_known(rows: Rows, found: Iterable[tuple[int, str]], labels: Sequence[str], column: str) -> None:
    """Every (row number, label) of a held-out set's ``column`` must be among the training labels; else InputError."""
    known = set(labels)
    unknown = [
        f"row {number}: {column} {label!r} is not among the training labels"
        for number, label in found
        if label not in known
    ]
    try:
        columns.refuse(rows.name, unknown)
    except InputError as error:
        shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
        raise InputError(f"{error}\n  known labels: {shown}; add training rows or correct it") from None


def _natural(label: str) -> list[tuple[int, int, str]]:
    """Sorts label_2 before label_10."""
    parts = re.split(r"(\d+)", label)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, plain(part)) for part in parts] + [(2, 0, label)]
