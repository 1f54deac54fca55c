"""A data file as named columns, before a task reads rows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.errors import InputError
from trainer.data.problems import RowProblems


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
