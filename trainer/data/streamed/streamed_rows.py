"""Rows that lie on disk, behind the interface of those in memory: a split is an array of places, 4 bytes a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.rows import Rows
from trainer.data.streamed.row_store import Places, RowStore

AT_ONCE = 4096
"""Rows that are read together, and up to which a part is of rows in memory."""


class StreamedColumn(Sequence[Any]):
    """Values that are read when they are asked for."""

    def __init__(self, read: Callable[[Places], Any], places: Places) -> None:
        self._read = read
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return list(self._read(self._places[index]))
        return self._plain(self._places[[index]])[0]

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), AT_ONCE):
            yield from self._plain(self._places[start : start + AT_ONCE])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._read(self._places), dtype=dtype)

    def _plain(self, places: Places) -> list[Any]:
        values = self._read(places)
        return list(values.tolist() if isinstance(values, np.ndarray) else values)


@dataclass(frozen=True)
class StreamedRows(Rows):
    """``indices`` are places of the store."""

    store: RowStore = field(kw_only=True)
    indices: Places = field(kw_only=True)

    @property
    def labelled(self) -> bool:
        return True

    def lines(self) -> Iterator[bytes]:
        for start in range(0, len(self), AT_ONCE):
            yield from self.store.lines(self.indices[start : start + AT_ONCE])

    def pairs(self) -> Iterator[tuple[Any, Any]]:
        for start in range(0, len(self), AT_ONCE):
            yield from map(tuple, self.store.rows(self.indices[start : start + AT_ONCE]))

    def take(self, indices: Sequence[int]) -> Rows:
        """Many are streamed too, and few are in memory."""
        places = self.indices[np.asarray(indices, dtype=np.int64)]
        if len(places) > AT_ONCE:
            return streamed_rows(self.name, self.store, places)
        pairs = self.store.rows(places)
        inputs, targets = [inputs for inputs, _ in pairs], [target for _, target in pairs]
        numbers, keys = self.store.numbers(places).tolist(), self.store.keys(places).tolist()
        return Rows(self.name, inputs, targets, numbers, keys, self.store.files(places))

    def text_keys(self) -> Sequence[Any]:
        """Those of the groups: of the tasks that can be streamed, rows with one text are a group."""
        return self.groups

    def target_keys(self) -> Sequence[Any]:
        return StreamedColumn(self.store.target_keys, self.indices)

    def joined(self, others: Sequence[Rows]) -> Rows | None:
        """None where others are in memory."""
        parts = [self, *(other for other in others if isinstance(other, StreamedRows))]
        if len(parts) <= len(others):
            return None
        name = " + ".join(part.name for part in parts)
        return streamed_rows(name, self.store, np.concatenate([part.indices for part in parts]))


def streamed_rows(name: str, store: RowStore, indices: Places) -> StreamedRows:
    columns = (store.inputs, store.targets, store.numbers, store.keys, store.files)
    return StreamedRows(name, *(StreamedColumn(read, indices) for read in columns), store=store, indices=indices)
