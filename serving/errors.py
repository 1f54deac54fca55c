"""The exceptions that cross room borders.

    InputError            what the user sent or wrote cannot be used
    ├── MalformedInput    it cannot even be read: not JSON, not UTF-8
    └── InputTooLarge     it is past a stated limit
    BundleError           a bundle is missing, altered or does not answer as it did when it was proven

Adaptors translate them (HTTP status, exit code); the core knows neither.
"""

from __future__ import annotations

import reprlib
from typing import Any


class InputError(ValueError):
    """What the user sent or wrote cannot be used; the message says where, what was found and what is accepted.

    ``field`` names the part at fault in the user's own terms (``inputs[3]``, ``training.learning_rate``).
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class MalformedInput(InputError):
    """The input cannot be read at all."""


class InputTooLarge(InputError):
    """The input is past a stated limit."""


class BundleError(RuntimeError):
    """A bundle cannot be trusted; the message names the file and what to do."""


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def quote(value: Any) -> str:
    """A value as Python writes it, of long texts, numbers and lists the beginning."""
    return _SHORT.repr(value)


def shorten(text: str, most: int) -> str:
    """The text's beginning, if it has more than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
