"""A text in Markdown whose words are marked for what an answer rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

STRONG = 0.4
"""A share of the strongest word's score that is worth a mark."""

_MARKS = {"for": "**", "against": "*", "": ""}


def mark_words(text: str, words: Sequence[dict[str, Any]], escape: Callable[[str], str]) -> str:
    """Bold for the answer, slanted against it; ``words`` are in the text's order, and those cut from it are skipped."""
    pieces = groupby(_pieces(text, words), key=lambda piece: piece[0])
    return "".join(_mark("".join(part for _, part in group), _MARKS[side], escape) for side, group in pieces)


def _pieces(text: str, words: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Side and text; a space between two words of one side is of that side too."""
    at, before = 0, ""
    for each in words:
        start = text.find(each["word"], at)
        if start < 0:
            continue
        end, side = start + len(each["word"]), _side(each["share"])
        between = text[at:start]
        yield (side if side == before and not between.strip() else ""), between
        yield side, text[start:end]
        at, before = end, side
    yield "", text[at:]


def _side(share: float) -> str:
    if abs(share) < STRONG:
        return ""
    return "for" if share > 0 else "against"


def _mark(text: str, mark: str, escape: Callable[[str], str]) -> str:
    return f"{mark}{escape(text)}{mark}" if text.strip() else escape(text)
