"""API keys. Several are accepted, so that one can be replaced while the other still works."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from serving.errors import InputError

KEY = re.compile(r"[A-Za-z0-9._~+/-]{16,512}=*")
"""A bearer token (RFC 6750, section 2.1), long enough not to be guessed."""

SECONDS_BETWEEN_CHECKS = 5.0

logger = logging.getLogger("tuneship")


class ApiKeys:
    """Digests of the accepted keys; keys themselves are neither kept nor logged."""

    def __init__(
        self, given: Iterable[str] = (), file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read ``given`` keys and a ``file``: one key a line, blank lines, ``#`` comments. Raises InputError."""
        self._given = [_digest(key.encode()) for key in _check_keys(enumerate(given, 1), "TUNESHIP_API_KEYS, key")]
        self._file, self._clock = file, clock
        self._checked_at, self._stamp = clock(), _stamp(file)
        self._digests = self._read()

    def accept(self, key: bytes) -> bool:
        """Whether the key is accepted, in constant time."""
        self._refresh()
        digest, accepted = _digest(key), False
        for each in self._digests:
            accepted |= hmac.compare_digest(digest, each)
        return accepted

    def _refresh(self) -> None:
        """Read a changed file again; keep the old keys if that fails."""
        now = self._clock()
        if self._file is None or now - self._checked_at < SECONDS_BETWEEN_CHECKS:
            return
        self._checked_at = now
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._digests = self._read()
            logger.info("the API keys were read again: %d are accepted", len(self._digests))
        except InputError as error:
            logger.error("the API keys stay as they were: %s", error)

    def _read(self) -> list[bytes]:
        digests = [*self._given, *(_digest(key.encode()) for key in _read_file(self._file))]
        if not digests:
            where = self._file or "TUNESHIP_API_KEYS"
            raise InputError(f"{where} holds no key. Put one a line, or name no file to let everybody in.")
        return list(dict.fromkeys(digests))


def _read_file(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a file of API keys: {type(error).__name__}") from error
    stripped = ((number, line.strip()) for number, line in enumerate(lines, 1))
    keys = ((number, line) for number, line in stripped if line and not line.startswith("#"))
    yield from _check_keys(keys, f"{path}, line")


def _check_keys(keys: Iterable[tuple[int, str]], where: str) -> Iterator[str]:
    for number, key in keys:
        if not KEY.fullmatch(key):
            raise InputError(
                f"{where} {number} is no key: 16 to 512 of A-Z a-z 0-9 - . _ ~ + / are accepted, and = at the end"
            )
        yield key


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _stamp(path: Path | None) -> tuple[int, ...] | None:
    """Also changes with a link to the file, as in Kubernetes' mounted secrets."""
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return status and (status.st_ino, status.st_size, status.st_mtime_ns)
