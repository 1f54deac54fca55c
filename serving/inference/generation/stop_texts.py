"""Texts that end an answer, found in a text that comes in pieces. The work is linear in the text, whatever the texts.

How much of a text's end begins a stop text: Knuth, Morris and Pratt 1977, "Fast pattern matching in strings".
"""

from __future__ import annotations

from collections.abc import Sequence


class StopTexts:
    """``begin``: what `match` begins with."""

    def __init__(self, texts: Sequence[str]) -> None:
        """``texts`` are not empty."""
        self._patterns = [(text, _borders(text)) for text in texts]
        self.begin = (0,) * len(texts)

    def find(self, text: str) -> int | None:
        """Where the first of them begins."""
        return min((at for stop, _ in self._patterns if (at := text.find(stop)) >= 0), default=None)

    def match(self, matched: Sequence[int], text: str) -> tuple[int, ...]:
        """How many characters of each stop text are the end of all text, ``text`` being new and without a whole one."""
        pairs = zip(self._patterns, matched, strict=True)
        return tuple(_advance(*pattern, length, text) for pattern, length in pairs)


NO_STOP = StopTexts(())


def _advance(stop: str, borders: Sequence[int], length: int, text: str) -> int:
    if not length and stop[0] not in text:
        return 0
    for character in text:
        while length and stop[length] != character:
            length = borders[length - 1]
        length += stop[length] == character
    return length


def _borders(stop: str) -> list[int]:
    """For each beginning of the text its longest end that is a beginning of it too, but not all of it."""
    borders, length = [0], 0
    for character in stop[1:]:
        while length and stop[length] != character:
            length = borders[length - 1]
        length += stop[length] == character
        borders.append(length)
    return borders
