"""CSV with a header: columns between commas, semicolons, tabs or bars; quotes as in RFC 4180."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import IO, Any

from batch.files import name_of, open_unpacked
from batch.rows import ANSWERED, DEFAULT_COLUMNS, Chunk, Row, Span, chunked, cut
from serving.errors import InputError
from serving.protocols.json_body import name_encoding
from stores.targets import scrub

SEPARATORS = ",;\t|"
MARK = "\ufeff"
MOST_CHARACTERS = 2**27
"""Of a field; a quote that nothing ends would otherwise take the whole file."""


class Records:
    """A file's records, each with where it ends. Bytes that are not UTF-8 become lone surrogates."""

    def __init__(self, file: IO[bytes], separator: str, start: int = 0) -> None:
        file.seek(start)
        self.end = start
        self._file = file
        csv.field_size_limit(MOST_CHARACTERS)
        self._reader = csv.reader(self._lines(), delimiter=separator)

    def _lines(self) -> Iterator[str]:
        for line in self._file:
            self.end += len(line)
            yield line.decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[list[str]]:
        return self._reader


def find_columns(place: str) -> tuple[list[str], str]:
    """The names of the header, and what separates them; raises InputError."""
    name = scrub(place)
    with open_unpacked(place) as file:
        if encoding := name_encoding(file.read(4)):
            raise InputError(f"{name} is {encoding}; --input takes UTF-8. Convert it: iconv -f {encoding} -t UTF-8 …")
        headers = {separator: _read_header(file, separator) for separator in SEPARATORS}
    separator = max(SEPARATORS, key=lambda each: _fitness(headers[each]))
    columns = headers[separator]
    if not all(columns) or len(set(columns)) < len(columns):
        raise InputError(
            f"{name}: its first line has no names of columns, or one twice; --input takes CSV with a header"
        )
    return columns, separator


def _read_header(file: IO[bytes], separator: str) -> list[str]:
    file.seek(0)
    try:
        names = next(iter(Records(file, separator)), [])
    except csv.Error:
        return []
    return [name.removeprefix(MARK).strip() for name in names]


def _fitness(columns: Sequence[str]) -> tuple[bool, int]:
    """A header that names inputs comes first, then one of more columns."""
    return any(set(names) <= set(columns) for names in DEFAULT_COLUMNS), len(columns)


def scan(place: str, separator: str, most: tuple[int, int]) -> Iterator[Span]:
    """What each part answers; the header is row 1."""
    with open_unpacked(place) as file:
        records = Records(file, separator)
        try:
            next(iter(records), None)
            yield from cut(((records.end, bool(row)) for row in records), records.end, 2, most)
        except csv.Error as error:
            raise InputError(f"{name_of(scrub(place))}: is not CSV near byte {records.end:,}: {error}") from None


def read(place: str, columns: Sequence[str], separator: str, span: Span) -> Iterator[Chunk]:
    with open_unpacked(place) as file:
        yield from chunked(_read_rows(Records(file, separator, span.start), columns, span))


def _read_rows(records: Records, columns: Sequence[str], span: Span) -> Iterator[tuple[Row, int]]:
    before, rows = span.start, iter(records)
    for number in count(span.first):
        if before >= span.end:
            return
        if values := next(rows):
            yield _to_row(number, columns, values), records.end - before
        before = records.end


def _to_row(number: int, columns: Sequence[str], values: list[str]) -> Row:
    readable = [value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for value in values]
    padded = [*readable, *[""] * len(columns)]
    content = {name: value for name, value in zip(columns, padded, strict=False) if name not in ANSWERED}
    if len(values) != len(columns):
        return Row(number, content, f"{len(values)} fields; the header has {len(columns)}")
    if readable != values:
        return Row(number, content, "not UTF-8")
    return Row(number, content)


class Writer:
    """A row's columns, then ``outputs`` as JSON, ``truncated`` and ``error``."""

    def __init__(self, file: IO[bytes], columns: Sequence[str], schema: str) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="", write_through=True)
        self._columns = [*columns, *ANSWERED]
        self._writer = csv.writer(self._text, lineterminator="\n")
        self.head = _to_bytes(self._columns)

    def write(self, chunk: Chunk, answers: Sequence[dict[str, Any]]) -> None:
        for row, answer in zip(chunk.rows, answers, strict=True):
            content = {**row.content, **answer}
            self._writer.writerow([to_field(content.get(name)) for name in self._columns])

    def close(self) -> None:
        self._text.detach()


def _to_bytes(row: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


def to_field(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
