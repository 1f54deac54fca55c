"""A request's id: the caller's, else one of our own."""

from __future__ import annotations

import itertools
import re
import secrets

VALID_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""No white space and no control character: the id goes into a header and a log line."""


class RequestIds:
    """A random prefix and a count: random numbers cost more."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take another prefix: this process may be a copy."""
        self._prefix = secrets.token_hex(8)
        self._count = itertools.count(1)

    def choose(self, requested: bytes | None) -> str:
        """The caller's if valid, else a new one."""
        if requested is not None and VALID_ID.fullmatch(requested):
            return requested.decode("ascii")
        return f"{self._prefix}-{next(self._count):x}"
