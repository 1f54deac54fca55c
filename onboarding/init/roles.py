"""What was inferred of a table's columns: the task, and which column is what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onboarding.init.profile import Column
from serving.errors import InputError, shorten
from trainer.data.columns import require_columns
from trainer.data.table import Table


@dataclass(frozen=True)
class Asked:
    """What the user says, in place of what would be inferred."""

    task: str | None = None
    text: str | None = None
    text_pair: str | None = None
    label: tuple[str, ...] = ()
    model: str | None = None
    test: str | None = None

    def named(self) -> list[str]:
        return [name for name in (self.text, self.text_pair, *self.label) if name]


@dataclass(frozen=True)
class Roles:
    """Attributes:
    data: keys of the recipe's section ``data``.
    head: those of ``model_head``.
    reasons: by dotted key why; ``task`` too.
    alternatives: by key what else it could be, and the option that says so.
    rendered: whether only a tokenizer's chat template makes texts of the rows.
    """

    task: str
    data: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    alternatives: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rendered: bool = False

    def used(self) -> set[str]:
        """The columns that it names."""
        names = (self.data.get(key) for key in ("text", "text_pair", "label", "negative", "split", "group", "time"))
        return {name for each in names if each for name in ([each] if isinstance(each, str) else each)}


def require_named(table: Table, asked: Asked) -> None:
    """Raise InputError for a column that is not there."""
    for key, names in (("--text", [asked.text]), ("--text-pair", [asked.text_pair]), ("--label", [*asked.label])):
        if wanted := [name for name in names if name]:
            require_columns(table, key, wanted)


def nothing_fits(table: Table, columns: Mapping[str, Column], problem: str, remedies: Sequence[str]) -> InputError:
    """An error that shows the columns as they were understood, with values."""
    lines = [
        f"  {shorten(column.name, 24):24}  {_KINDS[column.kind]:14}  {column.sample}" for column in columns.values()
    ]
    told = "\n".join([f"{table.name}: {problem}. Its columns:", *lines, *remedies])
    return InputError(told)


_KINDS = {
    "empty": "empty",
    "constant": "one value",
    "messages": "conversations",
    "spans": "entities",
    "list": "lists",
    "object": "objects",
    "flag": "0 or 1",
    "number": "numbers",
    "time": "times",
    "category": "labels",
    "text": "texts",
    "id": "identifiers",
}
