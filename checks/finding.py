"""What a check found: how many rows or labels, which, and how it was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.tasks.personal_data import KINDS
from serving.tasks.redaction import redact
from trainer.data.rows import Rows, texts_of
from trainer.setup.splits import Splits


@dataclass(frozen=True)
class Row:
    """``number`` is counted from 1 in its ``file``, without a header."""

    split: str
    file: str
    number: int
    inputs: Any
    target: Any

    @property
    def text(self) -> str:
        return "\n".join(texts_of(self.inputs))

    def to_json(self) -> dict[str, Any]:
        """The text without personal data: findings are passed on."""
        return {"split": self.split, "file": self.file, "row": self.number, "text": redact(self.text, KINDS)}


@dataclass(frozen=True)
class Example:
    """``rows`` are none for an example that is about labels."""

    note: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Attributes:
    name: as ``--fail-on`` takes it.
    count: how many; None if it was not checked, and ``how`` then says why.
    of: how many were looked at.
    how: how it was decided.
    examples: all of them, the worst first.
    """

    name: str
    title: str
    count: int | None
    of: int
    how: str = ""
    examples: Sequence[Example] = ()

    def to_json(self) -> dict[str, Any]:
        examples = [{"note": each.note, "rows": [row.to_json() for row in each.rows]} for each in self.examples]
        return {
            "name": self.name, "title": self.title, "count": self.count, "of": self.of, "how": self.how,
            "examples": examples,
        }  # fmt: skip


def not_checked(name: str, title: str, reason: str) -> Finding:
    return Finding(name, title, None, 0, reason)


def rows_of(splits: Splits) -> list[Row]:
    """Train, validation, test, in this order."""
    return [row for name, rows in splits.by_name() for row in _rows_of_split(name, rows)]


def _rows_of_split(name: str, rows: Rows) -> list[Row]:
    places = zip(rows.places(), rows.pairs(), strict=True)
    return [Row(name, file, number, *pair) for (file, number), pair in places]
