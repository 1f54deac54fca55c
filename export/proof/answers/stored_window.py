"""A window of tokens in a tenth of the memory of a tokenizers `Encoding`, of which a proof keeps one for each item."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tokenizers import Encoding

from serving.tasks.base import Encoded, Task
from serving.tasks.generation import Generation

NONE = -1
"""Stands for None among numbers that are not negative."""


@dataclass(frozen=True, slots=True)
class StoredWindow:
    """What engine and decoding read of an `Encoding`, under its names. Equal windows have equal tokens.

    Attributes:
        places: [tokens, 5] of start, end, word, sequence and special; empty for a task that needs no offsets.
    """

    _ids: bytes
    _type_ids: bytes
    _attention_mask: bytes
    _places: bytes

    @property
    def ids(self) -> list[int]:
        return _read(self._ids)

    @property
    def type_ids(self) -> list[int]:
        return list(self._type_ids)

    @property
    def attention_mask(self) -> list[int]:
        return list(self._attention_mask)

    @property
    def offsets(self) -> list[tuple[int, int]]:
        return [(start, end) for start, end in self._columns(0, 1)]

    @property
    def word_ids(self) -> list[int | None]:
        return [None if word == NONE else word for (word,) in self._columns(2)]

    @property
    def sequence_ids(self) -> list[int | None]:
        return [None if sequence == NONE else sequence for (sequence,) in self._columns(3)]

    @property
    def special_tokens_mask(self) -> list[int]:
        return [special for (special,) in self._columns(4)]

    def _columns(self, *columns: int) -> list[list[int]]:
        rows: list[list[int]] = np.frombuffer(self._places, dtype=np.int32).reshape(-1, 5)[:, columns].tolist()
        return rows


def store_windows(task: Task, encoded: Encoded) -> Encoded:
    """With windows stored, unless they are prompts, which have token ids only."""
    if not isinstance(encoded.windows[0], Encoding):
        return encoded
    return replace(encoded, windows=[_store(window, task.needs_offsets) for window in encoded.windows])


def _store(window: Encoding, offsets: bool) -> StoredWindow:
    return StoredWindow(
        _write(window.ids), bytes(window.type_ids), bytes(window.attention_mask), _places(window) if offsets else b""
    )


def _places(window: Encoding) -> bytes:
    starts, ends = zip(*window.offsets, strict=True) if window.offsets else ((), ())
    words, sequences = (
        [NONE if each is None else each for each in ids] for ids in (window.word_ids, window.sequence_ids)
    )
    columns: list[Sequence[Any]] = [starts, ends, words, sequences, window.special_tokens_mask]
    return np.array(columns, dtype=np.int32).T.tobytes()


def _write(numbers: Sequence[int]) -> bytes:
    return array("i", numbers).tobytes()


def _read(stored: bytes) -> list[int]:
    return memoryview(stored).cast("i").tolist()


def same_tokens(task: Task, served: Encoded, reference: Encoded) -> bool:
    """Whether the stored windows are equal; of a prompt, its token ids."""
    if isinstance(task, Generation):
        return [window.ids for window in served.windows] == [window.ids for window in reference.windows]
    return served.windows == reference.windows
