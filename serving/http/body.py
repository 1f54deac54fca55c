"""Reads a request's body within its limits: content type, bytes, seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.batching.errors import Overloaded
from serving.errors import InputTooLarge
from serving.http.timeouts import Within

JSON = frozenset({"application/json"})


SMALL_BODY = 64 * 1024
SMALL_SHARE = 0.25
"""Of the bytes that all bodies may have: only small bodies have it."""


class BodiesInHand:
    """Counts the bytes of all bodies that are being received or answered."""

    def __init__(self, most: int) -> None:
        self._most, self._most_large = most, int(most * (1 - SMALL_SHARE))
        self.bytes = 0

    @contextmanager
    def hold(self) -> Iterator[HeldBody]:
        """A body, counted until the context's end."""
        body = HeldBody(self)
        try:
            yield body
        finally:
            self.bytes -= body.bytes

    def require_room(self, size: int, more: int) -> None:
        """Raise Overloaded if a body of ``size`` bytes, ``more`` of them new, does not fit; a lone body always does."""
        most = self._most if size <= SMALL_BODY else self._most_large
        if self.bytes + more > most and self.bytes + more > size:
            raise Overloaded(f"the bodies of the requests in hand have {self.bytes:,} bytes")


class HeldBody:
    """One of `BodiesInHand`."""

    __slots__ = ("_all", "bytes")

    def __init__(self, bodies: BodiesInHand) -> None:
        self._all, self.bytes = bodies, 0

    def require_room(self, size: int) -> None:
        """Raise Overloaded if it does not fit once it has ``size`` bytes."""
        self._all.require_room(size, size - self.bytes)

    def grow(self, more: int) -> None:
        """Count bytes that have arrived; raises Overloaded."""
        self._all.require_room(self.bytes + more, more)
        self.bytes += more
        self._all.bytes += more


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, held: HeldBody, limit: int, seconds: float, accepted: Set[str]
) -> bytes:
    """At most ``limit`` bytes, within ``seconds``.

    Raises HTTPException (408, 415), InputTooLarge, Overloaded, ClientDisconnect.
    """
    _check_headers(headers, accepted)
    declared = parse_size(headers.get(b"content-length", b"")) or 0
    if declared > limit:  # before the server answers 100 Continue
        raise _too_large(limit)
    held.require_room(declared)
    try:
        with Within(seconds):
            return await _receive_body(receive, held, limit)
    except TimeoutError as error:
        raise HTTPException(408, f"the body took more than {seconds:g} s", {"Connection": "close"}) from error


async def _receive_body(receive: Receive, held: HeldBody, limit: int) -> bytes:
    body, more = bytearray(), True  # no list: a caller may send it byte by byte
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part, more = message.get("body", b""), message.get("more_body", False)
        held.grow(len(part))
        if held.bytes > limit:
            raise _too_large(limit)
        body += part
    return bytes(body)


def _check_headers(headers: Mapping[bytes, bytes], accepted: Set[str]) -> None:
    if (content_type := content_type_of(headers)) not in accepted:
        wanted = " or ".join(sorted(filter(None, accepted)))
        raise HTTPException(415, f"send Content-Type: {wanted}, not {content_type or 'none'}")
    coding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    if coding != "identity":  # RFC 9110, section 15.5.16
        raise HTTPException(415, f"send the body as it is, not coded as {coding!r}", {"Accept-Encoding": "identity"})


def content_type_of(headers: Mapping[bytes, bytes]) -> str:
    """Lower case, without parameters."""
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def parse_size(header: bytes) -> int | None:
    """None where it is not a number of bytes."""
    return int(header) if header.isdigit() and len(header) < 19 else None


def _too_large(limit: int) -> InputTooLarge:
    return InputTooLarge(f"the body has more than {limit:,} bytes, the most that is accepted")
