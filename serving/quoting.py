"""What a caller gave, in a message: enough of it to be found, however long it is."""

from __future__ import annotations

import reprlib
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def quoted(value: Any) -> str:
    """A value as Python writes it, of long texts, numbers and lists the beginning."""
    return _SHORT.repr(value)


def clipped(text: str, most: int) -> str:
    """The text's beginning, if it has more than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
