"""API keys: any of several is accepted, so that one can be replaced while the other still works."""

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
"""What a bearer token may be (RFC 6750, section 2.1), long enough that it cannot be guessed."""

SECONDS_BETWEEN_LOOKS = 5.0

logger = logging.getLogger("tuneship")


class ApiKeys:
    """Digests of the accepted keys. A file of keys that changes is read again within a few seconds.

    The keys themselves are not kept, and no message or log line holds one.
    """

    def __init__(
        self, given: Iterable[str] = (), file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read the keys; raises InputError where there are none, or one of them is malformed.

        Args:
            given: accepted whatever the file holds.
            file: a key a line; blank lines and lines that begin with ``#`` are skipped.
            clock: seconds.
        """
        self._given = [_digest(key.encode()) for key in _checked(enumerate(given, 1), "TUNESHIP_API_KEYS, key")]
        self._file, self._clock = file, clock
        self._looked, self._stamp = clock(), _stamp(file)
        self._digests = self._read()

    def accept(self, key: bytes) -> bool:
        """Whether it is one of them; the time this takes does not tell how much of a key was right, or of which."""
        self._look()
        digest, found = _digest(key), False
        for each in self._digests:
            found |= hmac.compare_digest(digest, each)
        return found

    def _look(self) -> None:
        """Read a file anew that has changed. One that cannot be read, or is malformed, leaves the old keys in force."""
        now = self._clock()
        if self._file is None or now - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
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
        digests = [*self._given, *(_digest(key.encode()) for key in _from_file(self._file))]
        if not digests:
            where = self._file or "TUNESHIP_API_KEYS"
            raise InputError(f"{where} holds no key. Put one a line, or name no file to let everybody in.")
        return list(dict.fromkeys(digests))


def _from_file(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a file of API keys: {type(error).__name__}") from error
    kept = ((number, line.strip()) for number, line in enumerate(lines, 1))
    yield from _checked(((number, line) for number, line in kept if line and not line.startswith("#")), f"{path}, line")


def _checked(keys: Iterable[tuple[int, str]], where: str) -> Iterator[str]:
    for number, key in keys:
        if not KEY.fullmatch(key):
            raise InputError(
                f"{where} {number} is no key: 16 to 512 of A-Z a-z 0-9 - . _ ~ + / are accepted, and = at the end"
            )
        yield key


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _stamp(path: Path | None) -> tuple[int, ...] | None:
    """Changes when the file does, also where a link beside it is turned, as Kubernetes does with mounted secrets."""
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return status and (status.st_ino, status.st_size, status.st_mtime_ns)
