"""Inputs and what is right for each, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rows:
    """Inputs as a caller would send them, and their targets; ``name`` is the file or data set that they come from.

    Attributes:
        inputs: a text, ``{"text", "text_pair"}``, ``{"question", "context"}``: what the task takes.
        targets: a label, labels, a number, entities, answers or a text: what the task's evaluation compares with.
        numbers: the rows' places in the file, counted from 1 without a header.
        groups: rows of one group are never split: the same text, or the same article.
    """

    name: str
    inputs: list[Any]
    targets: list[Any]
    numbers: list[int]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.inputs)

    def pairs(self) -> Iterator[tuple[Any, Any]]:
        """Each input with its target."""
        return zip(self.inputs, self.targets, strict=True)

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at ``indices``, in that order."""
        return Rows(
            self.name,
            [self.inputs[at] for at in indices],
            [self.targets[at] for at in indices],
            [self.numbers[at] for at in indices],
            [self.groups[at] for at in indices],
        )


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts, one after the other; each keeps the number it has in its own file."""
    return Rows(
        " + ".join(part.name for part in parts),
        [each for part in parts for each in part.inputs],
        [each for part in parts for each in part.targets],
        [each for part in parts for each in part.numbers],
        [each for part in parts for each in part.groups],
    )


def texts_of(inputs: Any) -> tuple[str, ...]:
    """The texts of an input."""
    return (inputs,) if isinstance(inputs, str) else tuple(inputs.values())


def plain(text: str) -> str:
    """``text`` without difference of case and spacing: two texts that agree here count as the same."""
    return " ".join(text.casefold().split())


def same_text(inputs: Any) -> str:
    """The group of rows whose texts are the same."""
    return "\n".join(plain(text) for text in texts_of(inputs))
