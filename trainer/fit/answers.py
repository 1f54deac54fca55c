"""Answers as JSON end to end: 60 bytes of a label and its score, which take 350 as Python's objects."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PackedAnswers(Sequence[Any]):
    """JSON values, each read anew when it is asked for; arrays stay arrays."""

    def __init__(self) -> None:
        self._arrays: dict[int, NDArray[Any]] = {}
        self._content = bytearray()
        self._ends = array("q", [0])

    def extend(self, answers: Iterable[Any]) -> None:
        for answer in answers:
            if isinstance(answer, np.ndarray):
                self._arrays[len(self)] = answer
            else:
                self._content += json.dumps(answer).encode("ascii")
            self._ends.append(len(self._content))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        if at in self._arrays:
            return self._arrays[at]
        return json.loads(self._content[self._ends[at] : self._ends[at + 1]])

    @property
    def nbytes(self) -> int:
        return len(self._content) + len(self._ends) * self._ends.itemsize
