"""A data file as named columns, before a task reads rows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import InputError


@dataclass(frozen=True)
class Table:
    """Columns of equal length; ``label_names`` are those of ``datasets.ClassLabel`` columns."""

    name: str
    columns: dict[str, list[Any]]
    label_names: dict[str, list[str]]

    def __len__(self) -> int:
        return max((len(values) for values in self.columns.values()), default=0)


def text_of(path: Path) -> str:
    """Without a byte order mark; raises InputError, which names a line that is not UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror})") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path.name}, line {line}: not UTF-8"
            f" (byte {error.start} of the file is 0x{content[error.start]:02x}); save the file as UTF-8"
        ) from None
