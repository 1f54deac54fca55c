"""The rows of a data set: inputs, targets, their numbers in the file, and the groups that no split divides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rows:
    """Inputs as a client sends them, and the expected answers.

    Attributes:
        numbers: the rows' places in the file, counted from 1.
        groups: a split keeps the rows of one group on one side.
        files: the file of each row, where there are several.
    """

    name: str
    inputs: list[Any]
    targets: list[Any]
    numbers: list[int]
    groups: list[str]
    files: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def labelled(self) -> bool:
        """Whether each row has an expected answer: of an imported model's rows, it may be unknown."""
        return None not in self.targets

    def pairs(self) -> Iterator[tuple[Any, Any]]:
        return zip(self.inputs, self.targets, strict=True)

    def places(self) -> Iterator[tuple[str, int]]:
        """The file and the number of each row."""
        return zip(self.files or [self.name] * len(self), self.numbers, strict=True)

    def take(self, indices: Sequence[int]) -> Rows:
        def at_indices(values: list[Any]) -> list[Any]:
            return [values[at] for at in indices] if values else []

        return Rows(self.name, **{name: at_indices(getattr(self, name)) for name in _COLUMNS})


_COLUMNS = ("inputs", "targets", "numbers", "groups", "files")


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Each row keeps the number in its own file."""
    if len(parts) == 1:
        return parts[0]
    columns = {name: [value for part in parts for value in getattr(part, name)] for name in _COLUMNS}
    columns["files"] = [file for part in parts for file, _ in part.places()]
    return Rows(" + ".join(part.name for part in parts), **columns)


def hash_rows(rows: Rows) -> str:
    """The sha256 of inputs and targets in their order."""
    lines = (json.dumps([inputs, target], ensure_ascii=False) for inputs, target in rows.pairs())
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()


NEGATIVE = "negative_"
"""Before the number of a wrong answer, among a row's inputs."""


def texts_of(inputs: Any) -> tuple[str, ...]:
    """Without wrong answers, which are beside the row's own texts to train and to rank."""
    return (inputs,) if isinstance(inputs, str) else tuple(without_negatives(inputs).values())


def without_negatives(inputs: Any) -> Any:
    """A row's own texts alone."""
    if not isinstance(inputs, dict):
        return inputs
    return {name: text for name, text in inputs.items() if not name.startswith(NEGATIVE)}


def normalize(text: str) -> str:
    """``text`` without case and extra spaces."""
    return " ".join(text.casefold().split())


def same_text(inputs: Any) -> str:
    return "\n".join(normalize(text) for text in texts_of(inputs))
