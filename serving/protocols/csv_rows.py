"""CSV, as SageMaker's containers read it: each row is an input, its columns a text or the texts of an object."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from serving.errors import InputError, InputTooLarge, MalformedInput
from serving.protocols.base import Check, Request, check_inputs
from serving.tasks.base import Task

CSV = "text/csv"
TEXT = "inputs"
"""The header above texts that Hugging Face's container asks for."""


def parse(body: bytes, header: bool, task: Task, check: Check) -> Request:
    """Raises InputError naming the row, counted from 1. ``header``: the caller says that the first row is one."""
    if len(body) > (limit := task.limits.max_body_bytes):
        raise InputTooLarge(f"the body has {len(body):,} bytes; at most {limit:,} are accepted")
    rows = list(_read_rows(body, task))
    if rows and (header or _is_header(rows[0][1], task)):
        rows = rows[1:]
    if not rows:
        raise InputError("the body has no rows; send a text a row")
    keys = task.input_keys
    inputs = [dict(zip(keys, row, strict=True)) if keys else row[0] for _, row in rows]
    fields = [f"row {number}" for number, _ in rows]
    items = check_inputs(inputs, task, lambda each, name: check(each, fields[_index(name)]), "rows")
    return Request(items, False, task.parameters_type(), field="rows", fields=fields)


def _read_rows(body: bytes, task: Task) -> Iterator[tuple[int, list[str]]]:
    """Numbered, without empty ones."""
    width = len(task.input_keys) or 1
    accepted = f"{width} are accepted" if width > 1 else "one, a text, is accepted; put quotes around a comma's text"
    try:
        text = body.decode("utf-8-sig")
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), 1):
            if len(row) not in (0, width):
                raise InputError(f"row {number} has {len(row)} columns; {accepted}", field=f"row {number}")
            if row:
                yield number, row
    except UnicodeDecodeError as error:
        raise MalformedInput(f"the body is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}") from error
    except csv.Error as error:
        raise MalformedInput(f"the body is not valid CSV: {error}") from error


def _is_header(row: list[str], task: Task) -> bool:
    return [name.strip().lower() for name in row] == (task.input_keys or [TEXT])


def _index(name: str) -> int:
    """Of ``rows[3]``."""
    return int(name[5:-1])
