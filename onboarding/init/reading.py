"""A data file as the trainer's readers read it, by the options that it needs: encoding, header, place of the rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onboarding.init.names import is_usual
from serving.errors import InputError, shorten
from trainer.data.columns import is_missing
from trainer.data.encodings import suggest_encoding
from trainer.data.json_files import find_row_fields
from trainer.data.problems import UNUSABLE
from trainer.data.readers import options_for, read_file
from trainer.data.table import NO_OPTIONS, ReadOptions, Table, content_of

_LOOKED_AT = 500
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)*")


@dataclass(frozen=True)
class Reading:
    """``reasons`` are why, by the recipe's key of the option."""

    table: Table
    options: ReadOptions
    reasons: dict[str, str] = field(default_factory=dict)


def read(path: Path) -> Reading:
    """Raises InputError for what no option mends."""
    options, reasons = NO_OPTIONS, dict[str, str]()
    known = options_for(path)
    if "encoding" in known and (encoding := suggest_encoding(content_of(path))):
        options = options._replace(encoding=encoding)
        reasons["data.encoding"] = f"the file is no UTF-8; {_sample_of(path, encoding)}"
    if "field" in known and (fields := _row_fields(path, options)):
        options = options._replace(field=fields[0])
        others = f"; others are {', '.join(fields[1:4])}" if fields[1:] else ""
        reasons["data.field"] = f"the rows are an array inside an object{others}"
    if "delimiter" in known and (width := _width_without_header(path, options)):
        options = options._replace(column_names=tuple(f"column_{at}" for at in range(1, width + 1)))
        reasons["data.column_names"] = "the first line is a row and no header"
    return Reading(read_file(path, options), options, reasons)


def name_columns(reading: Reading, path: Path, names: Sequence[str]) -> Reading:
    """With names in place of numbers, for a file without a header."""
    options = reading.options._replace(column_names=tuple(names))
    return Reading(read_file(path, options), options, reading.reasons)


def _sample_of(path: Path, encoding: str) -> str:
    """A word with a letter beyond ASCII, by which a person sees whether the encoding is right."""
    text = content_of(path).decode(encoding, "replace")
    word = next((word for word in text.split() if not word.isascii()), "")
    return f"read as {encoding} it has words such as {shorten(word, 30)!r}"


def _row_fields(path: Path, options: ReadOptions) -> list[str]:
    try:
        read_file(path, options)
    except InputError as error:
        return find_row_fields(path, options.encoding) if error.field == "data.field" else []
    return []


def _width_without_header(path: Path, options: ReadOptions) -> int:
    """How many columns there are where the first line is no header; 0 where it is one."""
    try:
        table = read_file(path, options)
    except InputError as error:
        return _width_of_repeated(error, path, options)
    names = list(table.columns)
    if "tokens" in names and "tags" in names:  # CoNLL
        return 0
    return len(names) if _looks_like_a_row(names, list(table.columns.values())) else 0


def _width_of_repeated(error: InputError, path: Path, options: ReadOptions) -> int:
    """A first row with one value twice reads as a header with a column twice."""
    if "occurs twice" not in str(error):
        return 0
    first = content_of(path).decode(options.encoding or "utf-8", "replace").splitlines()[0]
    widths = [len(next(csv.reader([first], delimiter=mark))) for mark in ",;\t|"]
    return max(widths) if any(map(_NUMBER.fullmatch, re.split(r"[,;\t|]", first))) else 0


def _looks_like_a_row(names: Sequence[str], columns: Sequence[list[Any]]) -> bool:
    """No header has numbers, long texts beside texts as long, or values that its own columns have."""
    signs = [_is_value(name, values) for name, values in zip(names, columns, strict=True)]
    return any(signs) and not any(map(is_usual, names))


def _is_value(name: str, values: list[Any]) -> bool:
    present = [value for value in values[:_LOOKED_AT] if value is not UNUSABLE and not is_missing(value)]
    texts = [value for value in present if isinstance(value, str)]
    if not texts or len(texts) < len(present):
        return False
    if _NUMBER.fullmatch(name.strip()):
        return all(map(_NUMBER.fullmatch, (text.strip() for text in texts)))
    return name in texts if len(set(texts)) <= len(texts) / 2 else _is_long(name) and any(map(_is_long, texts))


def _is_long(text: str) -> bool:
    return len(text.split()) > 4 or len(text) > 40
