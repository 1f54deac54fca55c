"""What goes wrong at a place, as messages.

StoreError        a place refuses, or cannot be reached
└── Missing       there is nothing
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.errors import UserError, shorten
from serving.files import explain
from stores.targets import Target, scrub

MOST_CHARACTERS = 300


class StoreError(UserError):
    """The message names the target, without credentials."""


class Missing(StoreError):
    """There is no such bucket, repository, registry, version or file."""


Explain = Callable[[Exception], str | None]
"""A client's own error in words; None for others."""


@contextmanager
def readable(target: Target, explain_own: Explain) -> Iterator[None]:
    """A client's exceptions become StoreErrors; what its libraries may raise is not one family."""
    try:
        yield
    except (UserError, AssertionError):
        raise
    except FileNotFoundError as error:
        cause = error.__cause__  # fsspec takes every failure over HTTP for a missing file
        if isinstance(cause, Exception) and (reason := explain_own(cause)):
            raise StoreError(f"{target}: {reason}") from None
        raise Missing(f"{target}: there is nothing there ({_first_line(error)})") from None
    except Exception as error:
        reason = explain_own(error) or _explain(error) or _first_line(error)
        raise StoreError(f"{target}: {reason}") from None


def _explain(error: Exception) -> str | None:
    if isinstance(error, PermissionError):
        return (
            f"access is denied ({_first_line(error)}); a token or key may be missing, expired or revoked: see the "
            "environment variables of docs/stores.md"
        )
    if isinstance(error, NotImplementedError):
        return "a place of this kind can only be read"
    if isinstance(error, TimeoutError | ConnectionError):
        return f"cannot be reached ({_first_line(error)}); check the network and the address"
    return explain(error)


def _first_line(error: Exception) -> str:
    lines = scrub(str(error)).strip().splitlines() or [type(error).__name__]
    return shorten(lines[0], MOST_CHARACTERS)
