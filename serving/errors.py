"""The exceptions that a user can act on.

    UserError             the command line prints its message and exits with 1, without a traceback
    ├── InputError        what the user sent or wrote cannot be used
    │   ├── MalformedInput    it cannot be parsed: not JSON, not UTF-8
    │   └── InputTooLarge     it exceeds a stated limit
    └── BundleError       a bundle is missing, altered, or answers differently from when it was proven

Adaptors translate them to HTTP statuses and exit codes.
"""

from __future__ import annotations

import reprlib
from typing import Any


class UserError(Exception):
    """Something that the user can mend; the message says what and how."""


class InputError(UserError, ValueError):
    """The message says where, what was found and what is accepted.

    ``field`` names the part at fault in the user's own terms (``inputs[3]``, ``training.learning_rate``).
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class MalformedInput(InputError):
    """The input cannot be read at all."""


class InputTooLarge(InputError):
    """The input is past a stated limit."""


class BundleError(UserError, RuntimeError):
    """A bundle cannot be trusted; the message names the file and what to do."""


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def quote(value: Any) -> str:
    """A value as Python writes it, of long texts, numbers and lists the beginning."""
    return _SHORT.repr(value)


def shorten(text: str, most: int) -> str:
    """The text's beginning, if it has more than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
