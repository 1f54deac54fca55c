"""Files that `tuneship predict` answers, in the forms that a training reads, as the JSON lines that it takes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.data.readers import read_file
from trainer.data.table import Table

_INPUTS = (("inputs",), ("question", "context"), ("text", "text_pair"), ("text",), ("prompt",))
"""The columns that are a row's inputs, the first of which all are there."""

_LINES = (".jsonl", ".ndjson")


@contextmanager
def as_json_lines(path: Path) -> Iterator[Path]:
    """The file itself if it has JSON lines, or else one with a line for each of its rows; raises InputError.

    A row keeps its other columns.
    """
    if not path.is_file() or path.suffix.lower() in _LINES or _begins_with_an_object(path):
        yield path
        return
    table = read_file(path)
    if len(table.problems):
        raise InputError(table.problems.message(table.name))
    names = _find_inputs(table)
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / f"{path.name}.jsonl"
        with lines.open("w", encoding="utf-8") as file:
            for values in zip(*table.columns.values(), strict=True):
                file.write(_to_line(dict(zip(table.columns, values, strict=True)), names) + "\n")
        yield lines


def _begins_with_an_object(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1024).lstrip().startswith(b"{")


def _find_inputs(table: Table) -> tuple[str, ...]:
    for names in _INPUTS:
        if set(names) <= table.columns.keys():
            return names
    accepted = "; ".join(" and ".join(names) for names in _INPUTS)
    there = ", ".join(table.columns)
    raise InputError(f"{table.name}: no column of inputs; accepted are {accepted}; columns there: {there}")


def _to_line(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    inputs = row[names[0]] if len(names) == 1 else {name: row[name] for name in names}
    others = {name: None if value != value else value for name, value in row.items() if name not in names}
    return json.dumps({"inputs": inputs, **others}, ensure_ascii=False, default=str)
