"""JSON lines: an object a line; only a line feed ends a line, and blank lines are skipped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import IO, Any

from batch.files import open_unpacked
from batch.rows import ANSWERED, Chunk, Row, Span, chunked, cut
from serving.errors import InputError
from serving.protocols.json_body import name_encoding
from stores.targets import scrub

KINDS = {type(None): "empty", str: "text", bool: "boolean", int: "integer", float: "number"}
"""Of values, by which a column of Parquet gets its type."""


def find_columns(place: str) -> tuple[list[str], str]:
    """None are told before the rows are read. Raises InputError for a file of another kind."""
    with open_unpacked(place) as file:
        beginning = file.read(4)
    if encoding := name_encoding(beginning):
        name = scrub(place)
        remedy = f"iconv -f {encoding} -t UTF-8 {name}"
        raise InputError(f"{name} is {encoding}; --input takes UTF-8. Convert it: {remedy}")
    return [], ""


def scan(place: str, separator: str, most: tuple[int, int]) -> Iterator[Span]:
    """What each part answers."""
    with open_unpacked(place) as file:
        yield from cut(_ends(file), 0, 1, most)


def find_kinds(place: str) -> dict[str, str]:
    """Each key of any line, with the kind of its values."""
    found: dict[str, str] = {}
    with open_unpacked(place) as file:
        for line in file:
            if line.strip():
                content = parse_row(0, line).content
                found.update({name: merge(found.get(name), _kind(value)) for name, value in content.items()})
    return found


def merge(one: str | None, other: str) -> str:
    """The kind of a column that has values of both."""
    kinds = {one or "empty", other} - {"empty"}
    if kinds == {"integer", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else "mixed" if kinds else "empty"


def _kind(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return "mixed"
    return KINDS.get(type(value), "mixed")


def _ends(lines: Iterable[bytes]) -> Iterator[tuple[int, bool]]:
    end = 0
    for line in lines:
        end += len(line)
        yield end, bool(line.strip())


def read(place: str, columns: Sequence[str], separator: str, span: Span) -> Iterator[Chunk]:
    with open_unpacked(place) as file:
        file.seek(span.start)
        yield from chunked(_read_rows(file, span))


def _read_rows(file: IO[bytes], span: Span) -> Iterator[tuple[Row, int]]:
    place = span.start
    for number in count(span.first):
        if place >= span.end:
            return
        line = file.readline()
        place += len(line)
        if line.strip():
            yield parse_row(number, line), len(line)


def parse_row(number: int, line: bytes) -> Row:
    try:
        content = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_parse_finite)
    except (ValueError, RecursionError) as error:
        return Row(number, {}, f"not a line of JSON in UTF-8: {error}")
    if not isinstance(content, dict):
        return Row(number, {}, 'no `inputs`; a row is an object such as {"inputs": "a text"}')
    return Row(number, {key: value for key, value in content.items() if key not in ANSWERED})


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _parse_finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


class Writer:
    """Lines that have a row's own keys, and its answer's."""

    head = b""

    def __init__(self, file: IO[bytes], columns: Sequence[str], schema: str) -> None:
        self._file = file

    def write(self, chunk: Chunk, answers: Sequence[dict[str, Any]]) -> None:
        rows = zip(chunk.rows, answers, strict=True)
        self._file.writelines(_format_line({**row.content, **answer}) for row, answer in rows)

    def close(self) -> None: ...


def _format_line(content: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot encode: keep it escaped
        text = json.dumps(content, allow_nan=False).encode()
    return text + b"\n"
