"""The rows of a data set: inputs, targets, their numbers in the file, and the groups that no split divides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from json.encoder import encode_basestring
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """Inputs as a client sends them, and the expected answers; in memory, or read as they are asked for.

    Attributes:
        numbers: the rows' places in the file, counted from 1.
        groups: a split keeps the rows of one group on one side.
        files: the file of each row, where there are several.
        units: those of ``data.group``, which a split keeps together too; None for a row of none.
        times: those of ``data.time``, by which a split takes the latest rows.
        parts: those of ``data.split``, which names each row's set.
    """

    name: str
    inputs: Sequence[Any]
    targets: Sequence[Any]
    numbers: Sequence[int]
    groups: Sequence[str]
    files: Sequence[str] = field(default_factory=list)
    units: Sequence[str | None] = field(default_factory=list)
    times: Sequence[float] = field(default_factory=list)
    parts: Sequence[str] = field(default_factory=list)

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

    def lines(self) -> Iterator[bytes]:
        """Each row as JSON."""
        return (_line_of(*pair).encode("utf-8") for pair in self.pairs())

    def take(self, indices: Sequence[int]) -> Rows:
        def at_indices(values: Sequence[Any]) -> list[Any]:
            return [values[at] for at in indices] if values else []

        return Rows(self.name, **{name: at_indices(getattr(self, name)) for name in _COLUMNS})

    def text_keys(self) -> Sequence[Any]:
        """Equal where texts are, but for case and spaces."""
        return [same_text(inputs) for inputs in self.inputs]

    def target_keys(self) -> Sequence[Any]:
        return [json.dumps(target) for target in self.targets]

    def joined(self, others: Sequence[Rows]) -> Rows | None:
        """With those of others behind, where these are streamed."""
        return None


_HASHED_AT_ONCE, _SEARCHED_AT_ONCE = 1000, 2**17
_COLUMNS = ("inputs", "targets", "numbers", "groups", "files", "units", "times", "parts")


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Each row keeps the number in its own file."""
    if len(parts) == 1:
        return parts[0]
    if (joined := parts[0].joined(parts[1:])) is not None:
        return joined
    columns = {name: [value for part in parts for value in getattr(part, name)] for name in _COLUMNS}
    columns["files"] = [file for part in parts for file, _ in part.places()]
    return Rows(" + ".join(part.name for part in parts), **columns)


def hash_rows(rows: Rows) -> str:
    """The sha256 of inputs and targets in their order."""
    digest, lines = hashlib.sha256(), rows.lines()
    digest.update(next(lines, b""))
    for block in iter(lambda: list(islice(lines, _HASHED_AT_ONCE)), []):
        digest.update(b"\n" + b"\n".join(block))
    return digest.hexdigest()


def _line_of(inputs: Any, target: Any) -> str:
    """As json.dumps writes it, which is slow for two texts."""
    if type(inputs) is type(target) is str:
        return f"[{encode_basestring(inputs)}, {encode_basestring(target)}]"
    return json.dumps([inputs, target], ensure_ascii=False)


def number_groups(groups: Sequence[Any]) -> NDArray[np.int32]:
    """Equal numbers for equal groups, from 0 in the order of their first rows."""
    if isinstance(groups, list):
        numbers: dict[Any, int] = {}
        return np.fromiter((numbers.setdefault(group, len(numbers)) for group in groups), np.int32, len(groups))
    values = np.asarray(groups)
    order = np.argsort(values, kind="stable").astype(np.int32)
    begins = np.ones(len(values), dtype=np.bool_)
    ranked = values[order]
    np.not_equal(ranked[1:], ranked[:-1], out=begins[1:])
    del ranked
    firsts = order[begins]  # a stable order has the first row of each group first
    ranks = np.empty(len(firsts), dtype=np.int32)
    ranks[np.argsort(firsts)] = np.arange(len(firsts), dtype=np.int32)
    found = np.empty(len(values), dtype=np.int32)
    found[order] = ranks[np.cumsum(begins, dtype=np.int32) - 1]
    return found


def concatenate(parts: Sequence[Sequence[Any]]) -> Sequence[Any]:
    if all(isinstance(part, list) for part in parts):
        return [value for part in parts for value in part]
    return np.concatenate([np.asarray(part) for part in parts])  # type: ignore[return-value]


def are_among(groups: Sequence[Any], others: Sequence[Any]) -> Sequence[bool]:
    """Of each group."""
    if isinstance(groups, list) and isinstance(others, list):
        known = set(others)
        return [group in known for group in groups]
    wanted, every = np.unique(np.asarray(groups)), np.asarray(others)
    hits = np.zeros(len(wanted), dtype=np.bool_)
    for start in range(0, len(every), _SEARCHED_AT_ONCE):
        part = every[start : start + _SEARCHED_AT_ONCE]
        places = np.minimum(np.searchsorted(wanted, part), len(wanted) - 1)
        hits[places[wanted[places] == part]] = True
    found: list[bool] = np.isin(np.asarray(groups), wanted[hits]).tolist()
    return found


def are_shared_units(rows: Rows, others: Rows) -> list[bool]:
    """Of each row, whether another one is of its unit."""
    known = {unit for unit in others.units if unit is not None}
    return [unit in known for unit in rows.units]


NEGATIVE, SAMPLED = "negative_", "sampled_"
"""Before the number of a wrong answer, among a row's inputs: of its own, or drawn from other rows."""


def texts_of(inputs: Any) -> tuple[str, ...]:
    """Without wrong answers, which are beside the row's own texts to train and to rank."""
    return (inputs,) if isinstance(inputs, str) else tuple(without_negatives(inputs).values())


def without_negatives(inputs: Any) -> Any:
    """A row's own texts alone."""
    if not isinstance(inputs, dict):
        return inputs
    return {name: text for name, text in inputs.items() if not name.startswith((NEGATIVE, SAMPLED))}


def normalize(text: str) -> str:
    """``text`` without case and extra spaces."""
    return " ".join(text.casefold().split())


def same_text(inputs: Any) -> str:
    return "\n".join(normalize(text) for text in texts_of(inputs))
