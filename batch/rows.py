"""Rows as they are read: what they hold, and which of it is the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.errors import InputError

ANSWERED = ("outputs", "truncated", "error")
"""What an answer adds to a row; a row's own are replaced, so that answered rows can be asked again."""

DEFAULT_COLUMNS = (("inputs",), ("question", "context"), ("text", "text_pair"), ("text",), ("prompt",))
"""Of a table the columns that are the input: the first of these that are all there."""

ROWS_AT_ONCE, BYTES_AT_ONCE = 1024, 2 * 2**20
"""What is answered together: rows of similar length share a batch of the graph."""


@dataclass(frozen=True)
class Row:
    """``number`` counts from 1 in its file; ``refusal`` says why it cannot be read."""

    number: int
    content: dict[str, Any]
    refusal: str = ""


@dataclass(frozen=True)
class Chunk:
    """Rows that are answered together; ``table`` has their columns where the source is Parquet."""

    rows: list[Row]
    table: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Span:
    """Records of a file that one part answers: from byte ``start`` to ``end``, the first being number ``first``.

    In Parquet, bytes count for nothing.
    """

    start: int
    end: int
    first: int
    rows: int


def chunked(rows: Iterable[tuple[Row, int]]) -> Iterator[Chunk]:
    """Chunks of rows, which come with their sizes in bytes."""
    chunk: list[Row] = []
    total = 0
    for row, size in rows:
        chunk.append(row)
        total += size
        if len(chunk) >= ROWS_AT_ONCE or total >= BYTES_AT_ONCE:
            yield Chunk(chunk)
            chunk, total = [], 0
    if chunk:
        yield Chunk(chunk)


def cut(records: Iterable[tuple[int, bool]], start: int, first: int, most: tuple[int, int]) -> Iterator[Span]:
    """Spans of at most so many rows and bytes; a record is its end in the file, and whether it is a row."""
    begin, number, rows, end = start, first, 0, start
    for end, is_row in records:
        rows += is_row
        first += 1
        if rows >= most[0] or end - begin >= most[1]:
            yield Span(begin, end, number, rows)
            begin, number, rows = end, first, 0
    if rows:
        yield Span(begin, end, number, rows)


def find_inputs(columns: Sequence[str], asked: Sequence[str], name: str) -> list[str]:
    """The columns of a table that are its rows' input; raises InputError."""
    for names in [asked] if asked else DEFAULT_COLUMNS:
        if set(names) <= set(columns):
            return list(names)
    accepted = " and ".join(asked) if asked else "; ".join(" and ".join(names) for names in DEFAULT_COLUMNS)
    raise InputError(
        f"{name}: no column of inputs; accepted are {accepted}; columns there: {', '.join(columns)}. Name the column by"
        " --text-column",
        field="--text-column",
    )


def get_inputs(content: dict[str, Any], names: Sequence[str], keys: Sequence[str]) -> Any:
    """A row's input, for a task that takes ``keys``; raises KeyError."""
    if len(names) == 1:
        return content[names[0]]
    return {key: content[name] for key, name in zip(keys if len(keys) == len(names) else names, names, strict=True)}
