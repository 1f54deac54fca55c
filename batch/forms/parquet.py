"""Parquet, read by row groups and pages, and written with the columns' own types. Needs pyarrow."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from batch.files import open_file
from batch.rows import ANSWERED, BYTES_AT_ONCE, ROWS_AT_ONCE, Chunk, Row, Span
from serving.errors import InputError
from stores.targets import scrub

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as _error:
    raise InputError("Parquet needs pyarrow: pip install 'tuneship[parquet]'") from _error

TYPES = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
"""Of columns that JSON lines bring; others are JSON in a text."""

BYTES_PER_GROUP = 16 * 2**20
"""In memory, of a row group that is joined of parts."""


@contextmanager
def _opened(place: str) -> Iterator[Any]:
    with open_file(place) as file:
        try:
            found = pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise InputError(f"{scrub(place)} is not Parquet: {str(error).splitlines()[0]}") from None
        try:
            yield found
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{scrub(place)} cannot be read: {str(error).splitlines()[0]}") from error


def find_columns(place: str) -> tuple[list[str], str]:
    with _opened(place) as found:
        return list(found.schema_arrow.names), ""


def schema_of(place: str) -> Any:
    with _opened(place) as found:
        return found.schema_arrow.remove_metadata()


def scan(place: str, separator: str, most: tuple[int, int]) -> Iterator[Span]:
    """What each part answers."""
    with _opened(place) as found:
        total = found.metadata.num_rows
        size = sum(found.metadata.row_group(each).total_byte_size for each in range(found.num_row_groups))
    rows = max(1, min(most[0], most[1] * total // max(size, 1)))
    for first in range(0, total, rows):
        yield Span(0, 0, first + 1, min(rows, total - first))


def read(place: str, columns: Sequence[str], separator: str, span: Span) -> Iterator[Chunk]:
    with _opened(place) as found:
        number = span.first
        for batch in _batches(found, span.first - 1, span.rows):
            yield _to_chunk(batch, number)
            number += batch.num_rows


def _batches(found: Any, skip: int, rows: int) -> Iterator[Any]:
    """Rows of the file, page by page."""
    groups, skip = _groups_with(found, skip, rows)
    for batch in found.iter_batches(ROWS_AT_ONCE, row_groups=groups):
        wanted = batch.slice(skip, rows)
        skip = max(0, skip - batch.num_rows)
        rows -= wanted.num_rows
        yield from _slices(wanted)
        if not rows:
            return


def _groups_with(found: Any, skip: int, rows: int) -> tuple[list[int], int]:
    """The row groups that hold rows, and how many of their rows come before."""
    groups: list[int] = []
    before = start = 0
    for group in range(found.num_row_groups):
        end = start + found.metadata.row_group(group).num_rows
        if end <= skip:
            before = end
        elif start < skip + rows:
            groups.append(group)
        start = end
    return groups, skip - before


def _slices(batch: Any) -> Iterator[Any]:
    """Parts of a batch that can be answered together."""
    if not batch.num_rows:
        return
    rows = max(1, batch.num_rows * BYTES_AT_ONCE // max(batch.nbytes, BYTES_AT_ONCE))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _to_chunk(batch: Any, number: int) -> Chunk:
    table = batch.drop_columns([name for name in ANSWERED if name in batch.schema.names])
    contents = _plain(table).to_pylist()
    return Chunk([Row(number + place, content) for place, content in enumerate(contents)], table)


def _plain(table: Any) -> Any:
    """Values that JSON has, times as texts."""
    for place, each in enumerate(table.schema):
        if pa.types.is_temporal(each.type) or pa.types.is_decimal(each.type):
            table = table.set_column(place, each.name, table.column(place).cast(pa.string()))
        elif pa.types.is_binary(each.type) or pa.types.is_large_binary(each.type):
            texts = [
                None if value is None else base64.b64encode(value).decode() for value in table.column(place).to_pylist()
            ]
            table = table.set_column(place, each.name, pa.array(texts, pa.string()))
    return table


def arrow_type(schema: Mapping[str, Any]) -> Any:
    """The type of what a JSON schema describes; of several shapes the first, which a request without parameters has."""
    if "oneOf" in schema:
        return arrow_type(schema["oneOf"][0])
    if schema["type"] == "array":
        return pa.list_(arrow_type(schema["items"]))
    if schema["type"] == "object":
        return pa.struct([(name, arrow_type(each)) for name, each in schema["properties"].items()])
    return {"string": pa.string(), "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_()}[schema["type"]]


def output_schema(columns: Any, answer: Mapping[str, Any]) -> str:
    """Of parts that have these columns (a schema, or kinds by name) and answers, as a text."""
    kept = [each for each in _fields(columns) if each.name not in ANSWERED]
    added = [("outputs", arrow_type(answer)), ("truncated", pa.bool_()), ("error", pa.string())]
    return base64.b64encode(pa.schema([*kept, *added]).serialize()).decode()


def _fields(columns: Any) -> list[Any]:
    if isinstance(columns, pa.Schema):
        return list(columns)
    return [pa.field(name, TYPES.get(kind, pa.string())) for name, kind in columns.items()]


class Writer:
    """A row group for each part."""

    head = b""

    def __init__(self, file: IO[bytes], columns: Sequence[str], schema: str) -> None:
        self._schema = read_schema(schema)
        self._file = file
        self._batches: list[Any] = []

    def write(self, chunk: Chunk, answers: Sequence[dict[str, Any]]) -> None:
        kept = [self._column(chunk, each) for each in self._schema if each.name not in ANSWERED]
        added = [pa.array([each.get(name) for each in answers], self._schema.field(name).type) for name in ANSWERED]
        self._batches.append(pa.record_batch([*kept, *added], schema=self._schema))

    def _column(self, chunk: Chunk, field: Any) -> Any:
        if chunk.table is not None:
            return chunk.table.column(field.name)
        values = [row.content.get(field.name) for row in chunk.rows]
        return pa.array([_to_type(value, field.type) for value in values], field.type)

    def close(self) -> None:
        with pq.ParquetWriter(self._file, self._schema) as writer:
            writer.write_table(pa.Table.from_batches(self._batches, self._schema))


def _to_type(value: Any, kind: Any) -> Any:
    if value is not None and pa.types.is_string(kind):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return text.encode("utf-8", "replace").decode()
    return value


class TableJoiner:
    """Writes files of one schema as one, in row groups of some parts."""

    def __init__(self, target: IO[bytes], schema: str) -> None:
        self._schema = read_schema(schema)
        self._writer = pq.ParquetWriter(target, self._schema)
        self._waiting: list[Any] = []

    def __enter__(self) -> TableJoiner:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, part: IO[bytes]) -> None:
        self._waiting.append(pq.ParquetFile(part).read(use_threads=False))  # read_table would load Arrow Dataset too
        if sum(each.nbytes for each in self._waiting) >= BYTES_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting = []


def read_schema(text: str) -> Any:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
