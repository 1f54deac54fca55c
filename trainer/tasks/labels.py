"""Labels: read, named, sorted, and required of held-out rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from serving.errors import InputError
from stores.data import local_file
from trainer.data.rows import Rows, normalize
from trainer.data.table import text_of
from trainer.recipe.sections import Data


def read_label_names(data: Data) -> list[str] | None:
    """``data.label_names``; raises InputError."""
    if data.label_names is None:
        return None
    names = _read_names(local_file(data.label_names)) if isinstance(data.label_names, str) else list(data.label_names)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"data.label_names: {twice[0]!r} occurs twice; name each label once", field="data.label_names")
    return names


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"data.label_names: {path}: there is no such file", field="data.label_names")
    return [line.strip() for line in text_of(path).splitlines() if line.strip()]


def naming(names: Sequence[str] | None, noun: str = "label") -> Callable[[str], str]:
    """A function from a number, as text, or a name to the name; it raises InputError for any other label."""
    if names is None:
        return str
    numbers = {name: name for name in names} | {str(number): name for number, name in enumerate(names)}
    last = len(names) - 1

    def name_of(label: str) -> str:
        found = numbers.get(label) or numbers.get(label.removesuffix(".0"))  # pandas writes 1.0 beside missing values
        if found is None:
            raise InputError(
                f"{noun} {label!r} is not a number from 0 to {last}, nor a name, as data.label_names requires"
            )
        return found

    return name_of


def sort_labels(labels: Iterable[str], order: Sequence[str] | None) -> list[str]:
    """Distinct labels in the given or natural order: label_2 before label_10."""
    distinct = set(labels)
    return [name for name in order if name in distinct] if order else sorted(distinct, key=_natural)


def require_two(labels: Sequence[str], train: Rows) -> None:
    """Raise InputError for a single label, or none."""
    if len(labels) < 2:
        found = f"every training row has the label {labels[0]!r}" if labels else "no training row has a label"
        raise InputError(f"{train.name}: {found}; give at least two labels")


def find_joined(labels: Sequence[str]) -> tuple[str, str] | None:
    """A label that seems to be several, and what stands between them: parts of it are parts of others, or labels."""
    for separator in ",;|":
        joined = [label for label in labels if separator in label]
        parts = Counter(part.strip() for label in joined for part in label.split(separator))
        if joined and any(count > 1 or part in labels for part, count in parts.items()):
            return joined[0], separator
    return None


def describe_known(labels: Sequence[str]) -> str:
    listed = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
    return f"known labels: {listed}; add training rows or correct it"


def _natural(label: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", label)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, normalize(part)) for part in parts] + [(2, 0, label)]
