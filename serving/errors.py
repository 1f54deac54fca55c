"""Exceptions that users can act on, and values in messages.

UserError             the command line prints the message without a traceback and exits with 1
├── Interrupted       a signal; exits with 128 and its number
├── ToldByAnother     of several processes another one prints the message
├── InputError        an input, file or setting cannot be used
│   ├── MalformedInput    not JSON, not UTF-8
│   └── InputTooLarge     above a limit
└── BundleError       a bundle is missing, altered, or answers differently from its proof
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from types import TracebackType
from typing import Any


class UserError(Exception):
    """The message says what is wrong and what to do."""


class Interrupted(UserError):
    """A signal stops the process; ``status`` is what a shell says of it then."""

    def __init__(self, signal: int, message: str) -> None:
        super().__init__(message)
        self.status = 128 + signal


class ToldByAnother(UserError):
    """The process ``teller`` has the error, and ends with ``status`` too."""

    def __init__(self, teller: int, status: int) -> None:
        super().__init__(f"process {teller} says why")
        self.teller = teller
        self.status = status


class InputError(UserError, ValueError):
    """``field`` is the user's name for the wrong part."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class MalformedInput(InputError):
    """Not JSON, or not UTF-8."""


class InputTooLarge(InputError):
    """Above a limit."""


class BundleError(UserError, RuntimeError):
    """The message names the file."""


class Panics:
    """A panic of Rust code in its block becomes an error of this kind.

    pyo3's PanicException derives from no Exception, so that it would end a thread or a server.
    """

    __slots__ = ("_kind", "_what")

    def __init__(self, kind: type[Exception], what: str) -> None:
        self._kind, self._what = kind, what

    def __enter__(self) -> None: ...

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Raises the error."""
        if type(error).__name__ == "PanicException":  # no module has it
            raise self._kind(f"{self._what}: {error}") from error


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def quote(value: Any) -> str:
    """The value's ``repr``, shortened."""
    return _SHORT.repr(value)


def shorten(text: str, most: int) -> str:
    """The text, cut to ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def did_you_mean(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """``; did you mean X?`` for the nearest known word, or nothing; ``likeness`` 1 takes equal words only."""
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    nearest = get_close_matches(word.lower(), by_lower, n=1, cutoff=likeness)
    return f"; did you mean {by_lower[nearest[0]]}?" if nearest else ""


def first_problem(error: Any, *prefix: str) -> str:
    """``field: message`` of the first error in a pydantic ValidationError."""
    first = error.errors()[0]
    return ": ".join(filter(None, (".".join(map(str, (*prefix, *first["loc"]))), first["msg"])))
