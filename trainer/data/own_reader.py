"""Files that only a reader of the user's own reads: a function from a path to columns (docs/extensions.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from serving.errors import quote
from serving.extensions.extension import Extension
from trainer.data.table import ReadOptions, Table

ReadFunction = Callable[[Path], Mapping[str, Sequence[Any]]]
"""Columns of equal length by name; values as JSON has them: text, numbers, true or false, None, lists, dicts."""


def read_own(extension: Extension, path: Path, _options: ReadOptions) -> Table:
    """Raises InputError for what the function raises, and unless it gives columns."""
    if not callable(extension.value):
        raise extension.failure("is no function; give one from a path to columns")
    try:
        found = extension.value(path)
    except Exception as error:  # code of the user's own may raise anything
        raise extension.failure(f"cannot read {path.name}", error) from error
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise extension.failure(f"gave {quote(found)} for {path.name}; a mapping from names to columns is needed")
    columns = {name: _values(extension, name, values) for name, values in found.items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items()) or "none"
        raise extension.failure(f"gave columns of different lengths for {path.name}, or none: {told}")
    return Table(path.name, columns)


def _values(extension: Extension, name: str, values: Any) -> list[Any]:
    """Arrays of numpy and pandas as Python's own values."""
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise extension.failure(f"gave {quote(values)} as column {name!r}; a sequence of values is needed")
    return list(values.tolist() if hasattr(values, "tolist") else values)
