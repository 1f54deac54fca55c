"""The rows of a data set: inputs, targets, their numbers in the file, and the groups that no split divides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rows:
    """Inputs as a client sends them, and the expected answers.

    Attributes:
        numbers: the rows' places in the file, counted from 1.
        groups: a split keeps the rows of one group on one side.
    """

    name: str
    inputs: list[Any]
    targets: list[Any]
    numbers: list[int]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def labelled(self) -> bool:
        """Whether each row has an expected answer: of an imported model's rows, it may be unknown."""
        return None not in self.targets

    def pairs(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.inputs, self.targets, strict=True)

    def take(self, indices: Sequence[int]) -> Rows:
        fields: tuple[list[Any], ...] = (self.inputs, self.targets, self.numbers, self.groups)
        return Rows(self.name, *([values[at] for at in indices] for values in fields))


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Each row keeps the number in its own file."""
    fields = ("inputs", "targets", "numbers", "groups")
    return Rows(
        " + ".join(part.name for part in parts),
        *([value for part in parts for value in getattr(part, field)] for field in fields),
    )


def hash_rows(rows: Rows) -> str:
    """The sha256 of inputs and targets in their order."""
    lines = (json.dumps([inputs, target], ensure_ascii=False) for inputs, target in rows.pairs())
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()


def texts_of(inputs: Any) -> tuple[str, ...]:
    return (inputs,) if isinstance(inputs, str) else tuple(inputs.values())


def normalize(text: str) -> str:
    """``text`` without case and extra spaces."""
    return " ".join(text.casefold().split())


def same_text(inputs: Any) -> str:
    return "\n".join(normalize(text) for text in texts_of(inputs))
