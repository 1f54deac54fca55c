"""Labels as figures can draw them: with fonts of this machine, and a mark for what none of them has."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

from matplotlib.font_manager import fontManager, get_font

MAIN, MISSING = "DejaVu Sans", "□"
"""matplotlib brings this font."""

_LAST_RESORT = "Last Resort"
"""A font of boxes."""


def drawable(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The texts on one line each, and the font families for them, the first that has a character drawing it."""
    lines = [_on_a_line(text) for text in texts]
    lacking = {character for line in lines for character in line} - _characters(MAIN)
    families = [MAIN]
    for family in _others() if lacking else ():
        if found := lacking & _characters(family):
            families.append(family)
            lacking -= found
    table = {ord(character): MISSING for character in lacking}
    return [line.translate(table) for line in lines], families


def _on_a_line(text: str) -> str:
    """Without marks that draw nothing by themselves, such as joiners."""
    words = " ".join(text.split())
    return "".join(each for each in words if unicodedata.category(each) not in ("Cc", "Cf") and not _selects(each))


def _selects(character: str) -> bool:
    """Whether it asks for another form of the character before it."""
    return 0xFE00 <= ord(character) <= 0xFE0F or 0xE0100 <= ord(character) <= 0xE01EF


@cache
def _characters(family: str) -> frozenset[str]:
    return frozenset(map(chr, get_font(_upright()[family]).get_charmap()))


def _others() -> Iterator[str]:
    yield from (family for family in sorted(_upright()) if family != MAIN and not family.startswith(_LAST_RESORT))


@cache
def _upright() -> dict[str, str]:
    """Files by family: of others matplotlib would print that it has no plain form."""
    plain = [font for font in fontManager.ttflist if font.style == "normal" and font.weight in (400, "normal")]
    return {font.name: font.fname for font in plain}
