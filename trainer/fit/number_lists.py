"""Lists of numbers end to end in one array: 2 to 8 bytes a number, where Python objects take 36."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

SMALL, INTEGER, REAL, EXACT = "H", "i", "f", "d"
"""Unsigned 16-bit, 32-bit, float32 and float64 numbers."""


class NumberLists(Sequence[list[Any]]):
    """Lists of any lengths, each read as a list of its own."""

    def __init__(self, kind: str) -> None:
        self._values = array(kind)
        self._ends = array("q", [0])

    def append(self, values: Iterable[Any]) -> None:
        self._values.extend(values)
        self._ends.append(len(self._values))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: Any) -> Any:
        return self._values[self._ends[index] : self._ends[index + 1]].tolist()

    def length(self, index: int) -> int:
        return self._ends[index + 1] - self._ends[index]

    @property
    def nbytes(self) -> int:
        return sum(len(each) * each.itemsize for each in (self._values, self._ends))


class Labels(Sequence[Any]):
    """A number, or a list of numbers, for each example, as the first one is.

    Floats in lists are of float32, as a batch is; a lone one is exact.
    """

    def __init__(self) -> None:
        self._labels: NumberLists | None = None
        self._listed = False

    def append(self, label: Any) -> None:
        if self._labels is None:
            self._labels, self._listed = NumberLists(_kind_of(label)), isinstance(label, list)
        self._labels.append(label if self._listed else [label])

    def __len__(self) -> int:
        return 0 if self._labels is None else len(self._labels)

    def __getitem__(self, index: Any) -> Any:
        if self._labels is None:
            raise IndexError(index)
        found = self._labels[index]
        return found if self._listed else found[0]

    @property
    def nbytes(self) -> int:
        return 0 if self._labels is None else self._labels.nbytes


def _kind_of(label: Any) -> str:
    if isinstance(label, list):
        return REAL if any(isinstance(each, float) for each in label) else INTEGER
    return EXACT if isinstance(label, float) else INTEGER
