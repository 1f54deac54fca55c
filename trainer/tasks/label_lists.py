"""Several labels a row, as files have them: lists, 0/1 vectors, objects of 0 and 1 by label, each also written as text,
or a column for each label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from serving.errors import InputError, quote
from serving.tasks.inputs import json_type
from trainer.data import columns
from trainer.data.literals import parse_list, parse_nested
from trainer.data.problems import UNUSABLE
from trainer.data.table import Table
from trainer.tasks.labels import find_joined

_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_ROW_OF_FLAGS = re.compile(r"[01](?:[ ,;|]+[01])+|[01]{3,}")
_FLAGS_SHOWN = "a 0 or a 1"
_MOST_PLAIN = 10_000


def flag_of(value: Any) -> bool | None:
    """What 0, 1, true or false says, as number or text; None for anything else."""
    return _FLAGS.get(str(value).strip().lower())


def read_lists(table: Table, name: str, separator: str | None) -> list[Any]:
    """Each row's labels as the file has them, from a list, a list written as text, or text split at ``separator``."""
    if name not in table.columns and (flags := _columns_of_flags(table)):
        raise InputError(
            f"{table.name}: no column {name!r} (data.label); for a column for each label give their names, such as"
            f" data.label: [{', '.join(flags)}]",
            field="data.label",
        )
    values = columns.column(table, "data.label", name, _labels_problem)
    if separator is None and _are_flags(values):
        return columns.map_rows(table, lambda value: re.findall("[01]", value), values)
    if separator is None:
        _refuse_joined(table, name, values)

    def read(value: Any) -> list[Any]:
        try:
            found = _read_list(value, separator)
        except InputError as error:
            raise InputError(f"{name} {error}") from None
        if problem := _list_problem(found):
            raise InputError(f"{name} {problem}")
        return found

    return columns.map_rows(table, read, values)


def _refuse_joined(table: Table, name: str, values: Sequence[Any]) -> None:
    """Raise InputError for texts of several labels with a separator between them."""
    if all(isinstance(value, str) or value is UNUSABLE for value in values):
        labels = {value for value in values if value is not UNUSABLE and not value.lstrip().startswith(("[", "(", "{"))}
        if joined := find_joined(sorted(labels)):
            raise InputError(
                f"{table.name}: {name} holds texts such as {joined[0]!r}, which seem to be several labels; give"
                f" data.label_separator: {joined[1]!r}, or lists of labels",
                field="data.label_separator",
            )


def read_single(table: Table, name: str) -> list[Any]:
    """The one label of each row, also where it is alone in a list."""
    plain: set[str] = set()  # labels occur again and again

    def alone(value: Any) -> Any:
        if value.__class__ is str and value in plain:
            return value
        found = read(value)
        if found is value and isinstance(value, str) and len(plain) < _MOST_PLAIN:
            plain.add(value)
        return found

    def read(value: Any) -> Any:
        found = parse_list(value) if isinstance(value, str) else value
        if isinstance(flags := _parsed_object(value), dict):
            found = _read_flags(flags, name)
        if not isinstance(found, (list, tuple)):
            if problem := _broken_list(value):
                raise InputError(f"{name} {problem}")
            return value
        if len(found) != 1:
            kind = "a list of" if found else "an empty list, not"
            raise InputError(
                f"{name} is {quote(value)}, {kind} labels; give one label a row, or task: multi-label-classification"
            )
        return found[0]

    columns.require_columns(table, "data.label", [name])
    values = columns.map_rows(table, alone, table.columns[name])
    return columns.labels(replace(table, columns={**table.columns, name: values}), "data.label", name)


def vector_length(rows: Sequence[Any], names: Sequence[str] | None) -> int | None:
    """How long the rows' 0/1 vectors are; None where the rows are lists of labels.

    A list of class numbers has none of them twice, so that repeated ones tell a vector, as does an equal length.
    """
    lists = [row for row in rows if row is not UNUSABLE and row]
    flags = [row for row in lists if all(flag_of(value) is not None for value in row)]
    lengths = Counter(map(len, flags))
    if not lists or 2 * len(flags) <= len(lists):
        return None
    length = lengths.most_common(1)[0][0]
    repeated = any(len({flag_of(value) for value in row}) < len(row) for row in flags)
    if names and not repeated and length != len(names):
        return None
    if length == 1 == max(map(len, lists)) and names is None and len(flags) == len(lists):
        raise InputError(
            "data.label: every row has a single 0 or 1; give data.label_names: one name, if these are vectors of one"
            " label, or two, if they are the numbers of two labels",
            field="data.label_names",
        )
    if length == 1 and not (names and len(names) == 1):
        return None
    alike = len(flags) == len(lists) == lengths[length]
    return length if alike or repeated else None


def read_vectors(table: Table, column: str, rows: Sequence[Any], length: int, names: Sequence[str] | None) -> list[Any]:
    """The labels at the ones of 0/1 vectors; raises InputError where the names are not as many as the numbers."""
    if names is None or len(names) != length:
        found = "" if names is None else f"; data.label_names are {len(names)}"
        raise InputError(
            f"{table.name}: {column} holds vectors of {length} zeros and ones, one for each label{found}; give their"
            f" {length} names in the vectors' order as data.label_names",
            field="data.label_names",
        )

    def read(values: Sequence[Any]) -> list[str]:
        flags = [flag_of(value) for value in values]
        if len(flags) != length or None in flags:
            raise InputError(
                f"{column} is {quote(list(values))}; a vector of {length} zeros and ones is needed, as in other rows"
            )
        return [name for name, flag in zip(names, flags, strict=True) if flag]

    return columns.map_rows(table, read, rows)


def read_columns(table: Table, names: Sequence[str]) -> list[Any]:
    """The labels of which a row's column holds a 1."""
    columns.require_columns(table, "data.label", names)
    flags = [columns.column(table, "data.label", name, _flag_problem) for name in names]
    return columns.map_rows(
        table, lambda *values: [name for name, value in zip(names, values, strict=True) if flag_of(value)], *flags
    )


def _read_list(value: Any, separator: str | None) -> list[Any]:
    """Raises InputError."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(flags := _parsed_object(value), dict):
        return _read_flags(flags)
    if not isinstance(value, str):
        return [value]
    written = parse_list(value)
    if written is not None:
        return written
    if problem := _broken_list(value.strip(), separator):
        raise InputError(problem)
    parts = value.split(separator) if separator else [value]
    return [part.strip() for part in parts if part.strip()]


def _parsed_object(value: Any) -> Any:
    """An object that was written as text, as itself."""
    return parse_nested(value) if isinstance(value, str) and value.lstrip().startswith("{") and ":" in value else value


def _read_flags(flags: dict[Any, Any], name: str = "") -> list[str]:
    """The labels with a 1, as spaCy's ``cats`` have them; raises InputError."""
    for label, value in flags.items():
        if not isinstance(label, str) or (problem := _flag_problem(value)):
            about = problem if isinstance(label, str) else f"is {quote(label)}; a label's name is needed"
            raise InputError(f"{name} [{quote(label)}] {about}".lstrip())
    return [label for label, value in flags.items() if flag_of(value)]


def _broken_list(text: Any, separator: str | None = None) -> str | None:
    """What is wrong with a text that seems to be a list and cannot be read as one; ``[laughter]`` is a label."""
    if not isinstance(text, str) or not text.startswith(("[", "{", "('", '("')):
        return None
    signs = "'\"" if separator else ",'\""
    enclosed = separator is None and " " in text and text.endswith(("]", "}"))
    if not enclosed and not any(sign in text for sign in signs):
        return None
    return f"is {quote(text)}, no list that can be read; write it as in ['a', 'b']"


def _are_flags(values: Sequence[Any]) -> bool:
    """Whether every text is a row of zeros and ones, of one length."""
    texts = [value.strip() for value in values if isinstance(value, str) and value != ""]
    others = any(not isinstance(value, str) and value is not UNUSABLE for value in values)
    return bool(texts) and not others and len(set(map(len, texts))) == 1 and all(map(_ROW_OF_FLAGS.fullmatch, texts))


def _columns_of_flags(table: Table) -> list[str]:
    """Those that hold nothing but zeros and ones, if there are several."""
    found = [name for name, values in table.columns.items() if all(flag_of(value) is not None for value in values)]
    return found if len(found) > 1 else []


def _labels_problem(value: Any) -> str | None:
    if value is None or value != value:
        return "is missing; a row without labels has an empty list or text"
    if isinstance(value, (list, tuple, dict, str, int, float)):
        return None
    return f"is {json_type(value)}; labels are text, or a list of it"


def _list_problem(values: Sequence[Any]) -> str | None:
    for value in values:
        if isinstance(value, float) and value not in (0.0, 1.0) and not value.is_integer():
            return f"holds the score {value:g}; give 1 from a threshold of your own on, and 0 below it"
        if value is None or value == "":
            return "holds a missing label"
        if not isinstance(value, (str, int, float)):
            return f"holds {json_type(value)}; labels are text or whole numbers"
    return None


def _flag_problem(value: Any) -> str | None:
    if value is None or value == "" or value != value:
        return f"is missing; {_FLAGS_SHOWN} is needed"
    if flag_of(value) is not None:
        return None
    score = isinstance(value, float) or (isinstance(value, str) and "." in value)
    more = ", for a score 1 from a threshold of your own on" if score else ""
    return f"is {quote(value)}; {_FLAGS_SHOWN} is needed{more}"
