"""Labelled texts, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rows:
    """Texts and their labels; ``name`` is the file or data set that they come from.

    ``numbers`` are the rows' places in it, counted from 1 without the header.
    """

    name: str
    texts: list[str]
    labels: list[str]
    numbers: list[int]

    def __len__(self) -> int:
        return len(self.texts)

    def columns(self) -> tuple[list[str], list[str]]:
        """Texts and labels."""
        return self.texts, self.labels

    def counts(self) -> Counter[str]:
        """Rows a label."""
        return Counter(self.labels)

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at ``indices``, in that order."""
        return Rows(
            self.name,
            [self.texts[at] for at in indices],
            [self.labels[at] for at in indices],
            [self.numbers[at] for at in indices],
        )


def plain(text: str) -> str:
    """``text`` without difference of case and spacing: two texts that agree here count as the same."""
    return " ".join(text.casefold().split())
