"""CSV and TSV: every field as written.

Where a file's first record is one column, another separator that gives all records as many columns is taken, and noted.
A TSV's quotes enclose fields only where they cannot be part of the text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.data.problems import UNUSABLE
from trainer.data.table import ReadOptions, Table, join_some, lines_of, text_of

_LONGEST_FIELD = 2**31 - 1
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SAMPLE = 2**16
_MOST_UNEVEN = 0.05
_EXCEL = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
_ENCLOSED = re.compile(r'"(?:[^"]|"")*"')


_Record = tuple[int, list[str]]
"""Its first line in the file, and its fields."""


def read_csv(path: Path, options: ReadOptions) -> Table:
    return _read(path, options, ",")


def read_tsv(path: Path, options: ReadOptions) -> Table:
    return _read(path, options, "\t")


def _read(path: Path, options: ReadOptions, usual: str) -> Table:
    csv.field_size_limit(_LONGEST_FIELD)  # columns.py has a limit, and names the row that exceeds it
    text, names, notes = text_of(path, options.encoding), options.column_names, []
    excel = _EXCEL.match(text)
    text, first = (text[excel.end() :], 2) if excel else (text, 1)
    _refuse_json(path, text)
    delimiter = options.delimiter or (excel[1] if excel else _find_delimiter(text, usual, names))
    if delimiter != usual and not options.delimiter:
        notes.append(f"its columns are separated by {_SEPARATORS.get(delimiter, repr(delimiter))}")
    if usual == delimiter == "\t":
        records, kept = _tab_records(text, first, names)
        notes += [f"{kept} fields begin and end with a quote, which is taken as part of their text"] if kept else []
    else:
        records = _quoted_records(path, text, first, delimiter)
    return _to_table(path, records, names, notes)


def records_table(
    path: Path, records: Iterable[list[tuple[int, list[str]]]], names: Sequence[str] | None
) -> Iterator[Table]:
    """A table for each part of the records, which have their lines; the first begins with the header, without names."""
    for part in records:
        header = names or _name_columns(part[0][1])
        yield _to_table(path, part, names, [])
        names = header


def csv_records(path: Path, text: Iterable[str], beginning: str, options: ReadOptions) -> Iterator[_Record]:
    """Of a file that is read as the records are; the first 64 KB tell the separator."""
    csv.field_size_limit(_LONGEST_FIELD)
    _refuse_json(path, beginning)
    excel = _EXCEL.match(beginning)
    delimiter = options.delimiter or (
        excel[1] if excel else _find_delimiter(beginning[: beginning.rfind("\n") + 1], ",", options.column_names)
    )
    records = _iterate_records(path, text, 1, delimiter)
    return islice(records, 1, None) if excel else records


def _refuse_json(path: Path, text: str) -> None:
    if text.startswith(('{"', "[{", "[\n")):
        raise InputError(f"{path.name}: holds JSON; name it .json, or .jsonl where it has an object a line")


def _find_delimiter(text: str, usual: str, names: Sequence[str] | None) -> str:
    """``usual``, unless another makes several columns, the same in all rows, where it does not."""
    sample = text[:_SAMPLE]
    sample = sample if len(sample) == len(text) else sample[: sample.rfind("\n") + 1]

    def width_by(delimiter: str) -> int:
        """Of all records, or nearly; 0 where they are uneven."""
        widths = [len(record) for record in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if record]
        wanted = len(names) if names else next(iter(widths), 0)
        even = sum(width == wanted for width in widths) >= (1 - _MOST_UNEVEN) * len(widths)
        return wanted if even else 0

    if width_by(usual) > 1 or (names and len(names) == 1):
        return usual
    widths = {delimiter: width_by(delimiter) for delimiter in _SEPARATORS if delimiter != usual}
    best = max(widths, key=lambda delimiter: widths[delimiter])
    return best if widths[best] > 1 else usual


def _quoted_records(path: Path, text: str, line: int, delimiter: str) -> list[_Record]:
    return list(_iterate_records(path, io.StringIO(text, newline=""), line, delimiter))


def _iterate_records(path: Path, text: Iterable[str], line: int, delimiter: str) -> Iterator[_Record]:
    """Raises InputError."""
    reader = csv.reader(text, strict=True, delimiter=delimiter)
    first = line
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + first
    except csv.Error as error:
        raise InputError(f"{path.name}, line {line}: not valid CSV ({error}); check the quotes") from None


def _tab_records(text: str, line: int, names: Sequence[str] | None) -> tuple[list[_Record], int]:
    """The records, and how many fields keep the quotes around them.

    Files that quote do so by pandas' or Excel's rules, and have no lone quote elsewhere. Others have quotes anywhere.
    """
    plain = [(at, each.split("\t")) for at, each in enumerate(lines_of(text), line) if each]
    if '"' not in text:
        return plain, 0
    try:
        quoted = _quoted_records(Path(), text, line, "\t")
    except InputError:
        return plain, 0
    if _is_even(plain, names) and not _has_enclosed_fields(plain):
        return plain, sum(_is_enclosed(field) for _, fields in plain for field in fields)
    return (quoted, 0) if _is_even(quoted, names) else (plain, 0)


def _is_even(records: Sequence[_Record], names: Sequence[str] | None) -> bool:
    width = len(names) if names else len(records[0][1])
    return all(len(fields) == width for _, fields in records)


def _has_enclosed_fields(records: Sequence[_Record]) -> bool:
    """Whether quotes enclose fields: doubled ones inside, a whole column, or exactly the fields that hold commas."""
    fields = [field for _, of_record in records for field in of_record]
    quoted = [field for field in fields if '"' in field]
    if not all(map(_is_enclosed, quoted)):
        return False
    if any('""' in field[1:-1] for field in quoted):
        return True
    if any(all(map(_is_enclosed, column)) for column in zip(*(of_record for _, of_record in records[1:]), strict=True)):
        return len(records) > 2
    return all(("," in field) == _is_enclosed(field) for field in fields)


def _is_enclosed(field: str) -> bool:
    return len(field) > 1 and _ENCLOSED.fullmatch(field) is not None


def _to_table(path: Path, records: list[_Record], names: Sequence[str] | None, notes: list[str]) -> Table:
    if not any(field.strip() for _, fields in records for field in fields):
        raise InputError(f"{path.name}: is empty; give a header and at least one row for each label")
    header = list(names) if names else _name_columns(records.pop(0)[1])
    _check_header(path, header, records)
    table = Table(path.name, {}, notes=notes)
    rows: list[Sequence[Any]] = [fields for _, fields in records]
    for at, (line, fields) in enumerate(records):
        if problem := _problem(header, fields):
            table.problems.add(at + 1, problem, f"line {line}")
            rows[at] = [UNUSABLE] * len(header)
    if len(rows) > 1 and all(
        field[:1] == field[-1:] == "'" and len(field) > 1 for _, fields in records for field in fields
    ):
        notes.append("every field stands in single quotes, which are taken as part of it; only double quotes enclose")
    columns = zip(*rows, strict=True) if rows else ([] for _ in header)
    table.columns.update(zip(header, map(list, columns), strict=True))
    return table


def _problem(header: list[str], fields: list[str]) -> str:
    if len(fields) != len(header):
        return (
            f"has {_count(len(fields), 'field')}, and the header {_count(len(header), 'column')} ({join_some(header)});"
            " quote a field that holds the separator"
        )
    if len(header) > 1 and len(fields[0].strip()) <= max(map(len, header)) and _plain(fields) == _plain(header):
        return "holds the names of the columns, as a header does"
    return ""


def _plain(names: Sequence[str]) -> list[str]:
    """In any order and case."""
    return sorted(name.strip().casefold() for name in names)


def _name_columns(header: list[str]) -> list[str]:
    """Those without a name as pandas names them; spreadsheets leave such columns behind."""
    return [name if name.strip() else f"Unnamed: {at}" for at, name in enumerate(header)]


def _check_header(path: Path, header: list[str], records: Sequence[_Record]) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{path.name}: column {twice[0]!r} occurs twice; give each column its own name")
    if len(header) == 1 and records and all(len(fields) > 1 for _, fields in records):
        raise InputError(
            f"{path.name}: its first line has one column ({join_some(header)}), and each other more; the first line"
            " must be the header: delete what is above it"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
