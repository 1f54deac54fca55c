"""JSON: an object a line, an array of objects, an array inside an object, or an object of columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from serving.errors import InputError, quote
from serving.tasks.inputs import json_type
from trainer.data.entity_spans import annotated_pairs, pair_as_row
from trainer.data.problems import UNUSABLE
from trainer.data.squad import as_squad, is_squad, read_squad
from trainer.data.table import ReadOptions, Table, lines_of, text_of

_SHOWN = 5
_NO_JSON = "not valid JSON"
_BETWEEN = re.compile(r"[\s,\x1e]*")
"""What stands between values; a record separator in JSON text sequences (RFC 7464)."""


def read_json_lines(path: Path, options: ReadOptions) -> Table:
    text = text_of(path, options.encoding)
    content = _parse(path, text) if text.lstrip().startswith("[") else None  # an array under a name of JSON lines
    rows = pair_as_row(content)  # of a lone line too
    return _from_rows(path, rows) if isinstance(rows, list) else _read_lines(path, text)


def read_json(path: Path, options: ReadOptions) -> Table:
    text = text_of(path, options.encoding)
    content = _parse(path, text)
    if content is None and not _are_lines(text) and _parse_stream(text) is None:
        _refuse(path, text)
    if options.field:
        return _from_content(path, _find_field(path, content, options.field))
    if is_squad(as_squad(content)):
        return read_squad(path, options.encoding)
    return _read_lines(path, text) if content is None else _from_content(path, content)


def find_row_fields(path: Path, encoding: str | None = None) -> list[str]:
    """Where an object has arrays of rows inside, the longest first, as ``data.field`` names them; raises InputError."""
    content = _parse(path, text_of(path, encoding))
    return _arrays(content) if isinstance(content, dict) else []


class _Twice(ValueError):
    """A key that an object has twice: other readers keep the last value and drop the first."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.msg = f"the key {key!r} occurs twice in an object"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in found if names.count(name) > 1))
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
"""Made once: json.loads makes one a call, which takes longer than a row."""


def _loads(text: str) -> Any:
    return _DECODER.decode(text)


def _parse(path: Path, text: str) -> Any:
    """None for JSON lines, and for what is no JSON, whose first bad line the reader of lines names."""
    try:
        return _loads(text)
    except _Twice as error:
        raise InputError(f"{path.name}: {error.msg}; give each its own") from None
    except (ValueError, RecursionError):
        return None


def _parse_stream(text: str) -> list[Any] | None:
    """Values that follow one another, perhaps with commas between them; None for anything else."""
    values, at = [], _skip(text, 0)
    try:
        while at < len(text):
            value, end = _DECODER.raw_decode(text, at)
            values.append(value)
            at = _skip(text, end)
    except (ValueError, RecursionError):
        return None
    return values


def _skip(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return found.end() if found else at


def _are_lines(text: str) -> bool:
    """Whether the first line is JSON in itself, or there is only one, of no array."""
    lines = text.strip().split("\n", 1)
    if len(lines) == 1:
        return not lines[0].startswith("[")
    try:
        _loads(lines[0])
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(path: Path, text: str) -> None:
    try:
        _loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        reason = getattr(error, "msg", "nested too deeply, or a number of thousands of digits")
        raise InputError(f"{path.name}, line {line}: not valid JSON ({reason})") from None


def _find_field(path: Path, content: Any, field: str) -> Any:
    for name in field.split("."):
        if not isinstance(content, dict) or name not in content:
            there = (
                f"the keys there: {', '.join(content)}"
                if isinstance(content, dict)
                else f"there is {json_type(content)}, which needs no data.field"
            )
            raise InputError(f"{path.name}: no {name!r} (data.field: {field}); {there}", field="data.field")
        content = content[name]
    return content


def _from_content(path: Path, content: Any) -> Table:
    if isinstance(content, list):
        return _from_rows(path, content)
    if not isinstance(content, dict):
        raise InputError(f"{path.name}: holds {json_type(content)}; give an array of objects, or an object a line")
    if isinstance(content.get("columns"), list) and isinstance(content.get("data"), list):  # pandas' orient="split"
        return _from_columns(path, dict(zip(content["columns"], zip(*content["data"], strict=False), strict=False)))
    if pairs := annotated_pairs(content):
        return _from_rows(path, pairs)
    arrays = _arrays(content)
    if arrays and not _are_columns(content):
        raise InputError(
            f"{path.name}: is an object with rows inside; say where they are: data.field: {arrays[0]}"
            + (f" (or {', '.join(arrays[1:_SHOWN])})" if arrays[1:] else ""),
            field="data.field",
        )
    return _from_columns(path, content) if _are_columns(content) else _from_rows(path, [content])


def _arrays(content: Mapping[str, Any]) -> list[str]:
    """The dotted names of arrays of objects, the outermost, the longest first."""
    found = _lengths(content, "")
    return sorted(found, key=lambda name: -found[name])


def _lengths(content: Mapping[str, Any], prefix: str) -> dict[str, int]:
    found = {}
    for name, value in content.items():
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            found[prefix + name] = len(value)
        elif isinstance(value, dict):
            found |= _lengths(value, f"{prefix}{name}.")
    return found


def _are_columns(content: Mapping[str, Any]) -> bool:
    """Lists of one length, or pandas' objects by row number."""
    values = list(content.values())
    if values and all(isinstance(value, list) for value in values):
        return len(set(map(len, values))) == 1 and not (len(values) == 1 and _arrays(content))
    by_number = (isinstance(value, dict) and value.keys() == values[0].keys() for value in values)
    return bool(values) and all(by_number) and (len(values) > 1 or _are_numbers(values[0]))


def _are_rows(content: Mapping[str, Any]) -> bool:
    """Of such objects, rows by their numbers or ids (pandas' orient="index"), and not columns."""
    first = next(iter(content.values()), None)
    return isinstance(first, dict) and not _are_numbers(first) and (_are_numbers(content) or len(content) > len(first))


def _are_numbers(content: Mapping[str, Any]) -> bool:
    return all(name.isdecimal() for name in content)


def _from_columns(path: Path, content: Mapping[str, Any]) -> Table:
    if _are_rows(content):
        return _from_rows(path, list(content.values()))
    columns = {
        str(name): list(values.values() if isinstance(values, dict) else values) for name, values in content.items()
    }
    return Table(path.name, columns)


def _from_rows(path: Path, items: Sequence[Any]) -> Table:
    return _to_table(path, [(_row_of(item), "") for item in items])


def lines_table(path: Path, lines: Iterable[tuple[int, str]], names: Sequence[str] = ()) -> Table:
    """Of lines with their numbers; with columns of these ``names`` at least."""
    return _to_table(path, [(_parse_line(line), f"line {at}") for at, line in lines], names)


def _read_lines(path: Path, text: str) -> Table:
    lines = [(at, line) for at, line in enumerate(lines_of(text), 1) if line.strip()]
    rows = [(_parse_line(line), f"line {at}") for at, line in lines]
    broken = any(isinstance(row, str) and row.startswith(_NO_JSON) for row, _ in rows)
    if broken and (values := _parse_stream(text)) and len(values) > 1:
        return _from_rows(path, values)
    return _to_table(path, rows)


def _to_table(path: Path, rows: Sequence[tuple[dict[str, Any] | str, str]], known: Sequence[str] = ()) -> Table:
    """From objects, or what is wrong in place of one, each with its place."""
    if not rows:
        raise InputError(f"{path.name}: is empty; give one JSON object a line, or an array of objects")
    first, place = rows[0]
    names = list(dict.fromkeys([*known, *(name for row, _ in rows if isinstance(row, dict) for name in row)]))
    if not names:
        where = f"{path.name}, {place}" if place else path.name
        raise InputError(f"{where}: {first or 'has no keys'}")
    table = Table(path.name, {})
    for number, (row, place) in enumerate(rows, 1):
        if isinstance(row, str):
            table.problems.add(number, row, place)
    table.columns.update(
        (name, [row.get(name) if isinstance(row, dict) else UNUSABLE for row, _ in rows]) for name in names
    )
    return table


def _parse_line(line: str) -> dict[str, Any] | str:
    try:
        return _row_of(_loads(line))
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deeply, or a number of thousands of digits")
        found = "" if line.lstrip().startswith("{") else f": {quote(line)}"
        return f"{_NO_JSON} ({reason}){found}; give one object a line"


def _row_of(item: Any) -> dict[str, Any] | str:
    """The object, or what is wrong."""
    row = pair_as_row(item)
    if isinstance(row, dict):
        return row
    return f"is not a JSON object but {json_type(item)}; give objects whose keys name the columns"
