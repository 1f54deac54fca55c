"""Labels: read, named, sorted, and required of held-out rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from serving.errors import InputError
from trainer.data import columns
from trainer.data.rows import Rows, normalize
from trainer.data.table import text_of
from trainer.recipe.sections import Data


def read_label_names(data: Data) -> list[str] | None:
    """``data.label_names``; raises InputError."""
    if data.label_names is None:
        return None
    names = _read_names(Path(data.label_names)) if isinstance(data.label_names, str) else list(data.label_names)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"data.label_names: {twice[0]!r} occurs twice; name each label once", field="data.label_names")
    return names


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"data.label_names: {path}: there is no such file", field="data.label_names")
    return [line.strip() for line in text_of(path).splitlines() if line.strip()]


def apply_names(
    labels: Sequence[str], names: Sequence[str] | None, table: str, rows: Sequence[int] | None = None
) -> list[str]:
    """Numbers become names; raises InputError. ``rows`` are the labels' row numbers, by default one each."""
    if names is None:
        return list(labels)
    numbers = {str(number): name for number, name in enumerate(names)}
    columns.raise_problems(
        table,
        [
            f"row {row}: label {label!r} is not a number from 0 to {len(names) - 1}, as data.label_names requires"
            for row, label in zip(rows or range(1, len(labels) + 1), labels, strict=True)
            if label not in numbers
        ],
    )
    return [numbers[label] for label in labels]


def apply_names_nested(rows: Sequence[Sequence[str]], names: Sequence[str] | None, table: str) -> list[list[str]]:
    """`apply_names` for several labels a row."""
    numbers = [number for number, labels in enumerate(rows, 1) for _ in labels]
    named = iter(apply_names([label for labels in rows for label in labels], names, table, numbers))
    return [[next(named) for _ in labels] for labels in rows]


def sort_labels(labels: Iterable[str], order: Sequence[str] | None) -> list[str]:
    """Distinct labels in the given or natural order: label_2 before label_10."""
    distinct = set(labels)
    return [name for name in order if name in distinct] if order else sorted(distinct, key=_natural)


def require_two(labels: Sequence[str], train: Rows) -> None:
    """Raise InputError for a single label."""
    if len(labels) < 2:
        raise InputError(f"{train.name}: every training row has the label {labels[0]!r}; give at least two labels")


def require_known(rows: Rows, row_labels: Iterable[tuple[int, str]], labels: Sequence[str], column: str) -> None:
    """Raise InputError for (row number, label) pairs without a training row."""
    known = set(labels)
    unknown = [
        f"row {number}: {column} {label!r} is not among the training labels"
        for number, label in row_labels
        if label not in known
    ]
    try:
        columns.raise_problems(rows.name, unknown)
    except InputError as error:
        listed = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
        raise InputError(f"{error}\n  known labels: {listed}; add training rows or correct it") from None


def _natural(label: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", label)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, normalize(part)) for part in parts] + [(2, 0, label)]
