"""All rows of a recipe's files on disk, and in memory what splits and warnings need of each.

In memory are of each row its place in the file, its number, 8 bytes of its text's hash, and its label's number: 24
bytes. A label is kept as a number while there are few different ones, and a number as itself; other targets are on
disk alone.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from trainer.data.rows import Rows
from trainer.data.streamed.row_file import RowFile

_MOST_CODES = 2**16
Places = NDArray[np.int32]


class RowStore:
    def __init__(self, folder: Path) -> None:
        self._lines = RowFile(folder)
        self._numbers, self._keys = array("i"), array("q")
        self._targets: _Codes | _Numbers | None = None
        self._files: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._lines)

    def begin_file(self, name: str) -> None:
        self._files.append((len(self), name))

    def extend(self, rows: Rows, rows_before: int) -> None:
        """With a part of the file, which has so many rows before it; raises DiskFull."""
        if not len(self) and len(rows):
            self._targets = _Numbers() if isinstance(rows.targets[0], float) else _Codes()
        if self._targets and not self._targets.extend(rows.targets):
            self._targets = None
        self._lines.extend([line + b"\n" for line in rows.lines()])
        self._numbers.extend([number + rows_before for number in rows.numbers])
        self._keys.extend(map(key_of, rows.groups))

    def lines(self, places: Places) -> Iterable[bytes]:
        """Each row as `trainer.data.rows.Rows.lines` has it."""
        return (line[:-1] for line in self._lines.read(places))

    def inputs(self, places: Places) -> list[Any]:
        return [orjson.loads(line)[0] for line in self._lines.read(places)]

    def targets(self, places: Places) -> list[Any]:
        if self._targets is None:
            return [orjson.loads(line)[1] for line in self._lines.read(places)]
        return self._targets.read(places)

    def rows(self, places: Places) -> list[list[Any]]:
        """Inputs and target of each."""
        return [orjson.loads(line) for line in self._lines.read(places)]

    def numbers(self, places: Places) -> NDArray[np.int32]:
        return np.frombuffer(self._numbers, dtype=np.int32)[places]

    def keys(self, places: Places) -> NDArray[np.int64]:
        """Equal where rows belong to one group."""
        return np.frombuffer(self._keys, dtype=np.int64)[places]

    def target_keys(self, places: Places) -> NDArray[np.int64]:
        """Equal where targets are."""
        if isinstance(self._targets, _Codes):
            return self._targets.codes(places).astype(np.int64)
        return np.fromiter((key_of(json.dumps(target)) for target in self.targets(places)), np.int64, len(places))

    def files(self, places: Places) -> list[str]:
        starts = [start for start, _ in self._files]
        return [self._files[bisect_right(starts, place) - 1][1] for place in places.tolist()]


def key_of(group: str) -> int:
    """64 bits: among 5 million groups, two have the same key once in a million data sets."""
    return int.from_bytes(hashlib.blake2b(group.encode("utf-8"), digest_size=8).digest(), "little", signed=True)


class _Codes:
    """Targets of which there are few different ones, such as labels: 2 bytes each."""

    def __init__(self) -> None:
        self._codes, self._numbers = array("H"), dict[Any, int]()
        self._values: list[Any] = []

    def extend(self, targets: Sequence[Any]) -> bool:
        """False where there are too many."""
        for target in targets:
            key = target if isinstance(target, str) else json.dumps(target)
            if (code := self._numbers.get(key)) is None:
                if len(self._values) == _MOST_CODES:
                    return False
                code = self._numbers[key] = len(self._values)
                self._values.append(target)
            self._codes.append(code)
        return True

    def read(self, places: Places) -> list[Any]:
        return [self._values[code] for code in self.codes(places).tolist()]

    def codes(self, places: Places) -> NDArray[np.uint16]:
        return np.frombuffer(self._codes, dtype=np.uint16)[places]


class _Numbers:
    """Of a regression: 8 bytes each."""

    def __init__(self) -> None:
        self._values = array("d")

    def extend(self, targets: Sequence[Any]) -> bool:
        self._values.extend(targets)
        return True

    def read(self, places: Places) -> list[Any]:
        found: list[Any] = np.frombuffer(self._values, dtype=np.float64)[places].tolist()
        return found
