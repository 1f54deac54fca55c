"""The words or tokens of an input, with their spans in the text as sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenizers import Encoding

from serving.tasks.spans import Token, group_pieces, group_words, trim, visible_tokens

Granularity = Literal["word", "token"]


@dataclass(frozen=True)
class Unit:
    """A word or token: its span in the first or second ``text``, and its token indices (``rows``)."""

    text: int
    start: int
    end: int
    rows: tuple[int, ...]


def units_of(texts: Sequence[str], window: Encoding, granularity: Granularity) -> list[Unit]:
    """In reading order, without special tokens and white space."""
    return [unit for number, text in enumerate(texts) for unit in _units(number, text, window, granularity)]


def tokens_of_text(number: int, text: str, window: Encoding) -> list[Token]:
    """The window's tokens of one of the input's texts."""
    offsets, words = window.offsets, window.word_ids
    rows = [
        row
        for row, (segment, special) in enumerate(zip(window.sequence_ids, window.special_tokens_mask, strict=True))
        if segment == number and not special
    ]
    return visible_tokens(text, [Token(*offsets[row], words[row], 0, row) for row in rows])


def _units(number: int, text: str, window: Encoding, granularity: Granularity) -> list[Unit]:
    tokens = tokens_of_text(number, text, window)
    groups = group_words(text, tokens) if granularity == "word" else group_pieces(tokens)
    spans = [(trim(text, group[0].start, group[-1].end), group) for group in groups]
    return [Unit(number, *span, tuple(token.row for token in group)) for span, group in spans if span[0] < span[1]]


def split_blocks(units: Sequence[Unit], most: int) -> list[list[Unit]]:
    """At most ``most`` even blocks of neighbours in one text."""
    if len(units) <= most:
        return [[unit] for unit in units]
    width = -(-len(units) // most)
    while len(blocks := _split(units, width)) > most:
        width += 1
    return blocks


def _split(units: Sequence[Unit], width: int) -> list[list[Unit]]:
    blocks: list[list[Unit]] = []
    for unit in units:
        if blocks and len(blocks[-1]) < width and blocks[-1][0].text == unit.text:
            blocks[-1].append(unit)
        else:
            blocks.append([unit])
    return blocks
