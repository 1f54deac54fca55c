"""A data file as named columns, before a task reads rows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from serving.errors import InputError, shorten
from trainer.data.encodings import decode, decompress, refuse_other_kinds
from trainer.data.problems import RowProblems, Unusable


class ReadOptions(NamedTuple):
    """What a recipe says about its files, as the keys of its section ``data``."""

    column_names: Sequence[str] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    field: str | None = None


NO_OPTIONS: Final = ReadOptions()
_SHOWN, _LONGEST_SHOWN = 20, 40


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes:
        label_names: those of ``datasets.ClassLabel`` columns.
        problems: what is wrong with rows; readers and tasks add to it.
        notes: what was recognised rather than written, such as another separator; training warns of it.
    """

    name: str
    columns: dict[str, list[Any]]
    label_names: dict[str, list[str]] = field(default_factory=dict)
    problems: RowProblems = field(default_factory=RowProblems)
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return max((len(values) for values in self.columns.values()), default=0)

    def usable(self) -> Sequence[int]:
        """The places of the rows without a problem."""
        return [at for at in range(len(self)) if at + 1 not in self.problems]

    def take(self, places: Sequence[int]) -> Table:
        """With these rows only, and none of their numbers."""
        columns = {name: [values[at] for at in places] for name, values in self.columns.items()}
        return Table(self.name, columns, self.label_names)


def with_nested(table: Table, names: Sequence[str]) -> Table:
    """With columns for dotted names of fields inside objects, such as ``row.text``."""
    added: dict[str, list[Any]] = {}
    for name in names:
        first, *inside = name.split(".")
        if name not in table.columns and inside and first in table.columns:
            values = [_inside(value, inside) for value in table.columns[first]]
            added |= {name: values} if any(value is not None for value in values) else {}
    return replace(table, columns={**table.columns, **added}) if added else table


def _inside(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        if not isinstance(value, dict):
            return value if isinstance(value, Unusable) else None
        value = value.get(name)
    return value


def text_of(path: Path, encoding: str | None = None) -> str:
    """Unpacked, without a byte order mark; raises InputError, which names a line that is not in the encoding."""
    content = content_of(path)
    refuse_other_kinds(path.name, content)
    return decode(path.name, content, encoding)


def content_of(path: Path) -> bytes:
    """Unpacked; raises InputError."""
    return decompress(path.name, packed_content_of(path))


def packed_content_of(path: Path) -> bytes:
    """As it lies there; raises InputError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read ({error.strerror})") from None


def lines_of(text: str) -> list[str]:
    """Ended by LF, CR LF or, in old files, CR; U+2028 and the like end no line."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        text = text if "\n" in text else text.replace("\r", "\n")
    return text.split("\n")


def join_some(names: Sequence[str]) -> str:
    """For a message: of thousands the first ones."""
    shown = [shorten(name, _LONGEST_SHOWN) for name in names[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
