"""API keys. Several are accepted, so that one can be replaced while the other still works."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from serving.errors import InputError
from serving.files import read_regular

KEY = re.compile(r"[A-Za-z0-9._~+/-]{16,512}=*")
"""A bearer token (RFC 6750, section 2.1), long enough not to be guessed."""

SECONDS_BETWEEN_CHECKS = 5.0
MOST_BYTES = 2**20

logger = logging.getLogger("tuneship")


class ApiKeys:
    """Digests of the accepted keys; keys themselves are neither kept nor logged.

    A file that was emptied or removed withdraws its keys. One that cannot be read, or has a malformed line, may hold
    any keys: the last ones stay, and it is tried again.
    """

    def __init__(
        self, given: Iterable[str] = (), file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read ``given`` keys and a ``file``: one key a line, blank lines, ``#`` comments. Raises InputError."""
        self._given = [_digest(key.encode()) for key in _check_keys(enumerate(given, 1), "TUNESHIP_API_KEYS, key")]
        self._file, self._clock, self._checked_at = file, clock, clock()
        self._from_file, self._problem = _read_file(file) if file else [], ""
        if not (self._given or self._from_file):
            where = file or "TUNESHIP_API_KEYS"
            raise InputError(f"{where} holds no key. Put one a line, or name no file to let everybody in.")

    @property
    def file_is_bad(self) -> bool:
        """Whether the file gives no keys now."""
        self._refresh()
        return bool(self._problem)

    def accept(self, key: bytes) -> bool:
        """Whether the key is accepted, in constant time."""
        self._refresh()
        digest, accepted = _digest(key), False
        for each in (*self._given, *self._from_file):
            accepted |= hmac.compare_digest(digest, each)
        return accepted

    def renew(self) -> None:
        """Read the file again before the next key: this process may have been a snapshot for long."""
        self._checked_at = -math.inf

    def _refresh(self) -> None:
        """Read the file again every few seconds; its time and size do not always show a change."""
        now = self._clock()
        if self._file is None or now - self._checked_at < SECONDS_BETWEEN_CHECKS:
            return
        self._checked_at = now
        try:
            found = _read_file(self._file)
            self._use(found, "" if found else f"{self._file} holds no key, so that none of its keys is accepted")
        except InputError as error:
            removed = isinstance(error.__cause__, FileNotFoundError)
            consequence = "none of its keys is accepted" if removed else "those of before are accepted"
            self._use([] if removed else self._from_file, f"{error}; {consequence} until it can be read")

    def _use(self, digests: list[bytes], problem: str) -> None:
        """Log what has changed."""
        if problem != self._problem and problem:
            logger.error("the API keys: %s", problem)
        elif digests != self._from_file or problem != self._problem:
            logger.info("the API keys were read again: %d are accepted", len({*self._given, *digests}))
        self._from_file, self._problem = digests, problem


def _read_file(path: Path) -> list[bytes]:
    try:
        lines = read_regular(path, MOST_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"{path} cannot be read as a file of API keys: {reason}") from error
    stripped = ((number, line.strip()) for number, line in enumerate(lines, 1))
    keys = ((number, line) for number, line in stripped if line and not line.startswith("#"))
    return [_digest(key.encode()) for key in dict.fromkeys(_check_keys(keys, f"{path}, line"))]


def _check_keys(keys: Iterable[tuple[int, str]], where: str) -> Iterator[str]:
    for number, key in keys:
        if not KEY.fullmatch(key):
            raise InputError(
                f"{where} {number} is no key: 16 to 512 of A-Z a-z 0-9 - . _ ~ + / are accepted, and = at the end"
            )
        yield key


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
