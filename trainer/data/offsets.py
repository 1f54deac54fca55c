"""Offsets into a text: they count Unicode code points, and files of other systems count something else."""

from __future__ import annotations

from collections.abc import Callable

UNITS = {"UTF-16 units": ("utf-16-le", 2), "UTF-8 bytes": ("utf-8", 1)}


def code_points(text: str, offset: int, unit: str) -> int:
    """An offset in ``unit`` as one in code points; -1 outside of the text."""
    encoding, width = UNITS[unit]
    encoded = text.encode(encoding)
    if not 0 <= offset * width <= len(encoded):
        return -1
    return len(encoded[: offset * width].decode(encoding, "ignore"))


def unit_hint(fits: Callable[[str], bool]) -> str:
    """What offsets seem to count, of the units in which they fit."""
    found = [unit for unit in UNITS if fits(unit)]
    return f"; offsets count Unicode code points, and this one seems to count {found[0]}" if found else ""
