"""A look at the data: which files, read how, what the columns hold, and what can be learned of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onboarding.init.files import Files, find_files
from onboarding.init.inference import infer
from onboarding.init.profile import Column, parse_if_nested, profile
from onboarding.init.reading import Reading, name_columns, read
from onboarding.init.roles import Asked, Roles
from onboarding.init.splits import SplitColumns, find_split_columns
from onboarding.init.tools import flatten
from serving.errors import InputError
from stores.data import local_file
from stores.targets import is_target
from trainer.data.data_sets import read_dataset
from trainer.data.readers import read_file
from trainer.data.table import NO_OPTIONS, Table, with_nested

MOST_GIGABYTES = 1.0
"""A file is read whole to be looked at."""
_NOT_LEARNED = {"line", "id", "title"}
"""Columns that readers of CoNLL and SQuAD add, and that a test file may lack."""
_USUAL_TEXTS = ("text", "question", "context", "prompt", "tokens", "messages", "conversations")


@dataclass(frozen=True)
class Seen:
    """``table`` is the first training file's, as the trainer takes it; ``tool`` made it, if that is known."""

    files: Files
    reading: Reading
    table: Table
    columns: Mapping[str, Column]
    split_columns: SplitColumns
    roles: Roles
    tool: str
    notes: list[str]

    @property
    def rows(self) -> int:
        """Of all training files, if these are of one length."""
        return len(self.table) * len(self.files.train)

    def texts(self) -> list[str]:
        """Some that the model will read."""
        named = [self.roles.data.get(key) for key in ("text", "text_pair")]
        names = [name for name in named if isinstance(name, str)] or [n for n in _USUAL_TEXTS if n in self.columns]
        return [_as_text(value) for name in names for value in self.columns[name].values[:2000]]


def look(data: str, asked: Asked) -> Seen:
    """Raises InputError where the file cannot be read, or nothing can be learned of it."""
    files = Files((data,)) if is_target(data) else find_files(_existing(data), asked.test)
    reading = _read_first(files)
    table, tool = flatten(reading.table)
    table = _with_fields(with_nested(table, asked.named()))
    columns = profile(table)
    split_columns = find_split_columns(columns, asked.named())
    roles = infer(table, columns, asked, split_columns.names())
    if "data.column_names" in reading.reasons:
        reading, roles = _with_names(reading, Path(files.train[0]), roles)
        table = reading.table
        columns = profile(table)
        split_columns = find_split_columns(columns, sorted(roles.used()))
    files, notes = _usable_sets(files, reading, table, roles, asked)
    roles = _with_label_names(files, table, columns, roles)
    return Seen(files, reading, table, columns, split_columns, roles, tool, notes)


def _existing(data: str) -> Path:
    path = Path(data)
    if not path.exists() and not path.parent.is_dir():
        raise InputError(f"{data}: there is no such file; give a data file, or a folder of them", field="DATA")
    return path


def _read_first(files: Files) -> Reading:
    if files.dataset:
        return Reading(read_dataset(str(files.dataset), None, files.train[0], None), NO_OPTIONS)
    path = local_file(files.train[0])
    if path.is_file() and (size := path.stat().st_size / 2**30) > MOST_GIGABYTES:
        raise InputError(
            f"{path.name}: has {size:.1f} GB, too much to look at; run tuneship init on a part of it, such as its first"
            " 100,000 rows, and name the whole file by data.train, with data.streaming: true"
        )
    return read(path)


def _with_names(reading: Reading, path: Path, roles: Roles) -> tuple[Reading, Roles]:
    """A file without a header gets the names of what its columns are."""
    parts = {roles.data.get(key): key for key in ("text", "text_pair", "label")}
    usual = {name: key for name, key in parts.items() if isinstance(name, str)}
    names = [usual.get(name, name) for name in reading.table.columns]

    def rename(text: str) -> str:
        for before, after in usual.items():
            text = text.replace(repr(before), repr(after))
        return text

    renamed = replace(
        roles,
        data={key: usual.get(value, value) if isinstance(value, str) else value for key, value in roles.data.items()},
        reasons={key: rename(text) for key, text in roles.reasons.items()},
        alternatives={key: [rename(text) for text in texts] for key, texts in roles.alternatives.items()},
    )
    return name_columns(reading, path, names), renamed


def _with_fields(table: Table, depth: int = 2) -> Table:
    """With a column for each field of objects, by its dotted name, as the trainer reads it."""
    names = [
        f"{name}.{key}"
        for name, column in profile(table).items()
        if column.kind == "object"
        for key in dict.fromkeys(str(key) for value in column.values[:100] if isinstance(value, dict) for key in value)
    ]
    nested = with_nested(table, names)
    return nested if nested is table or depth == 1 else _with_fields(nested, depth - 1)


def _usable_sets(files: Files, reading: Reading, table: Table, roles: Roles, asked: Asked) -> tuple[Files, list[str]]:
    """Without files that were found and lack a column, as a test set without labels does; and notes of these."""
    notes = []
    for role in ("test", "validation"):
        name = getattr(files, role)
        if files.dataset or name is None or (role == "test" and asked.test):
            continue
        if problem := _lacks(Path(name), reading, table, roles):
            notes.append(f"{Path(name).name} is not used as {role} set: {problem}")
            files = replace(files, test=None) if role == "test" else replace(files, validation=None)
    return files, notes


def _lacks(path: Path, reading: Reading, table: Table, roles: Roles) -> str:
    try:
        other, _ = flatten(read_file(path, reading.options))
    except InputError as error:
        return str(error).splitlines()[0]
    needed = roles.used() or set(table.columns) - _NOT_LEARNED
    missing = sorted(needed - other.columns.keys())
    return f"it has no column {', '.join(map(repr, missing))}" if missing else ""


def _with_label_names(files: Files, table: Table, columns: Mapping[str, Column], roles: Roles) -> Roles:
    """With names of classes that are written as numbers, from a file beside the data."""
    label = roles.data.get("label")
    if files.label_names is None or not isinstance(label, str) or label in table.label_names:
        return roles
    names = [line for line in files.label_names.read_text(encoding="utf-8").splitlines() if line.strip()]
    numbers = _classes(columns[label], roles.data.get("label_separator"))
    if not all(each.removesuffix(".0").isdecimal() and int(float(each)) < len(names) for each in numbers):
        return roles
    why = f"{files.label_names.name} has {len(names)} names, for the numbers from 0"
    return replace(
        roles,
        data={**roles.data, "label_names": str(files.label_names)},
        reasons={**roles.reasons, "data.label_names": why},
        notes=[note for note in roles.notes if not note.startswith("data.label_names")],
    )


def _classes(column: Column, separator: str | None) -> set[str]:
    """As text, each of them once."""
    values = [parse_if_nested(value) for value in column.values]
    rows = [value if isinstance(value, (list, tuple)) else str(value).split(separator or "\0") for value in values]
    return {str(each).strip() for row in rows for each in row if str(each).strip()}


def _as_text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(_as_text, value))
    if isinstance(value, dict):
        return str(value.get("content") or value.get("value") or "")
    return str(value)
