"""The units of a tokenised input that can be hidden: its words or its tokens, with their places in the text as sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenizers import Encoding

from serving.tasks.spans import Token, group_pieces, group_words, trim, visible_tokens

Granularity = Literal["word", "token"]


@dataclass(frozen=True)
class Unit:
    """A word or a token.

    Attributes:
        text: which of the input's texts it stands in, 0 or 1.
        start, end: its place there, in Unicode code points.
        rows: the window's rows that are its pieces.
    """

    text: int
    start: int
    end: int
    rows: tuple[int, ...]


def units_of(texts: Sequence[str], window: Encoding, granularity: Granularity) -> list[Unit]:
    """The units of a window in reading order; special tokens and white space are none."""
    return [unit for number, text in enumerate(texts) for unit in _units(number, text, window, granularity)]


def tokens_of_text(number: int, text: str, window: Encoding) -> list[Token]:
    """The window's tokens that stand for some of the text of that number."""
    rows = [
        row
        for row, (segment, special) in enumerate(zip(window.sequence_ids, window.special_tokens_mask, strict=True))
        if segment == number and not special
    ]
    return visible_tokens(text, [Token(*window.offsets[row], window.word_ids[row], 0, row) for row in rows])


def _units(number: int, text: str, window: Encoding, granularity: Granularity) -> list[Unit]:
    tokens = tokens_of_text(number, text, window)
    groups = group_words(text, tokens) if granularity == "word" else group_pieces(tokens)
    found = [(trim(text, group[0].start, group[-1].end), group) for group in groups]
    return [Unit(number, *place, tuple(token.row for token in group)) for place, group in found if place[0] < place[1]]


def blocks(units: Sequence[Unit], most: int) -> list[list[Unit]]:
    """The units in at most ``most`` blocks of neighbours, as even as can be; a block does not cross texts."""
    if len(units) <= most:
        return [[unit] for unit in units]
    width = -(-len(units) // most)
    while len(found := _cut(units, width)) > most:
        width += 1
    return found


def _cut(units: Sequence[Unit], width: int) -> list[list[Unit]]:
    found: list[list[Unit]] = []
    for unit in units:
        if found and len(found[-1]) < width and found[-1][0].text == unit.text:
            found[-1].append(unit)
        else:
            found.append([unit])
    return found
