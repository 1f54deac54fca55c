"""Lines in a file without a name, which the system removes when the process ends, however it ends.

Rows are read, not mapped: pages of a mapped file count as the process's memory. Of a line 8 bytes stay in memory.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import UserError

_DENSE = 4
"""Lines are read together if what lies between them is at most so many times their own size."""


class DiskFull(UserError):
    """The rows cannot be kept on disk."""


class RowFile:
    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as its rows are read
        self._folder = folder
        self._ends = array("q", [0])

    def extend(self, lines: Sequence[bytes]) -> None:
        """Raises DiskFull."""
        end = self._ends[-1]
        for line in lines:
            end += len(line)
            self._ends.append(end)
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
        except OSError as error:
            raise DiskFull(
                f"data.streaming: {self._folder}: the rows cannot be kept there ({error.strerror}); they take about as"
                " much as the files, unpacked; make room, or choose an output folder on another disk"
            ) from error

    def __len__(self) -> int:
        return len(self._ends) - 1

    def read(self, places: NDArray[Any]) -> Iterator[bytes]:
        """The lines at these places; ascending ones are read together."""
        if not len(places):
            return iter(())
        ends = np.frombuffer(self._ends, dtype=np.int64)
        starts, stops = ends[places], ends[places + 1]
        first, span = int(starts.min()), int(stops.max() - starts.min())
        if span <= _DENSE * int((stops - starts).sum()):
            content = os.pread(self._file.fileno(), span, first)
            pairs = zip((starts - first).tolist(), (stops - first).tolist(), strict=True)
            return (content[start:stop] for start, stop in pairs)
        file = self._file.fileno()
        return (os.pread(file, size, at) for at, size in zip(starts.tolist(), (stops - starts).tolist(), strict=True))
