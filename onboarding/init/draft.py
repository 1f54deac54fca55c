"""A recipe as entries that say why, and as the commented YAML of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

WIDTH = 100
_ORDER = ("task", "model", "model_head", "data", "training")


@dataclass(frozen=True)
class Entry:
    """``key`` is dotted; ``instead`` says what else it could be."""

    key: str
    value: Any
    why: str = ""
    instead: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value, "why": self.why, "instead": list(self.instead)}


@dataclass(frozen=True)
class Draft:
    """``title`` and ``notes`` are comments at the top and at the end."""

    entries: Sequence[Entry]
    title: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=list)

    def ordered(self) -> list[Entry]:
        """Section by section."""
        return sorted(self.entries, key=lambda entry: _ORDER.index(entry.key.split(".")[0]))

    def to_mapping(self) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for entry in self.ordered():
            section, _, name = entry.key.partition(".")
            if name:
                mapping.setdefault(section, {})[name] = entry.value
            else:
                mapping[section] = entry.value
        return mapping

    def to_yaml(self) -> str:
        notes = [line for note in self.notes for line in _comment(note, "", first="- ")]
        return (
            "\n".join([*_comments(self.title), *self._lines(), *(["", "# Look at:"] if notes else []), *notes]) + "\n"
        )

    def _lines(self) -> Iterator[str]:
        section = ""
        for entry in self.ordered():
            first, _, name = entry.key.partition(".")
            if name and first != section:
                section = first
                yield f"{section}:"
            indent = "  " if name else ""
            yield from _comment(entry.why, indent)
            for other in entry.instead:
                yield from _comment(other, indent, first="or: ")
            yield f"{indent}{name or first}: {_scalar(entry.value)}"


def _scalar(value: Any) -> str:
    """In one line."""
    text: str = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.strip()[1:-1]


def _comments(lines: Iterable[str]) -> list[str]:
    return [line for text in lines for line in _comment(text, "")]


def _comment(text: str, indent: str, first: str = "") -> list[str]:
    """Of a column's name no control character ends the comment."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    wrapped = textwrap.wrap(plain, WIDTH - len(indent) - len(first), break_long_words=False, break_on_hyphens=False)
    lead = [first, *[" " * len(first)] * len(wrapped)]
    return [f"{indent}# {before}{line}" for before, line in zip(lead, wrapped, strict=False)]
