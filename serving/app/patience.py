"""How long a caller waits, if it says so: ``Request-Timeout`` or ``X-Request-Timeout``, in seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from serving.errors import InputError

HEADERS = (b"request-timeout", b"x-request-timeout")


def patience_of(headers: Mapping[bytes, bytes], most: float) -> float:
    """Seconds after which the answer need not be given any more.

    Args:
        headers: the request's.
        most: seconds that the server gives any request.

    Raises:
        InputError: a header is no number of seconds above 0.
    """
    return min([most, *(_seconds(name, headers[name]) for name in HEADERS if name in headers)])


def _seconds(header: bytes, value: bytes) -> float:
    name, text = header.decode(), value.decode("latin-1")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"the header {name} is {text!r}; a number of seconds above 0 is accepted", field=name)
    return seconds
