"""A name for each request, its answer and its log line: the caller's own where it is sane, else one of ours."""

from __future__ import annotations

import itertools
import re
import secrets

HEADER = b"x-request-id"

SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""No white space and no control character: what goes back in a header and into a log cannot break out of either."""


class RequestIds:
    """Makes ids that no other process makes: a random beginning and a count. Random numbers would cost more."""

    def __init__(self) -> None:
        self._beginning = secrets.token_hex(8)
        self._count = itertools.count(1)

    def of(self, given: bytes | None) -> str:
        """The id of a request whose caller gave one, or none."""
        if given is not None and SANE.fullmatch(given):
            return given.decode("ascii")
        return f"{self._beginning}-{next(self._count):x}"
