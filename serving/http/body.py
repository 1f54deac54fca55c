"""A request's body: of a content type that is understood, and no more of it than the bundle's limit."""

from __future__ import annotations

from collections.abc import Mapping, Set

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.errors import InputTooLarge
from serving.http.timeouts import Within

JSON = frozenset({"application/json"})


def content_type_of(headers: Mapping[bytes, bytes]) -> str:
    """The content type without its parameters, empty where none is told."""
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


def size_of(header: bytes) -> int | None:
    """The bytes that a header tells of; None where it is no number of them."""
    return int(header) if header.isdigit() and len(header) < 19 else None


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, limit: int, seconds: float, accepted: Set[str] = JSON
) -> bytes:
    """The body, given up as soon as it is past ``limit`` bytes, so that nobody can fill the memory.

    ``seconds`` is how long it may take to arrive, so that nobody can hold a connection by sending byte after byte.

    Raises HTTPException 415 for a content type or a coding that is not accepted and 408 for a body that is late,
    InputTooLarge past the limit, ClientDisconnect.
    """
    _require_type(headers, accepted)
    _require_no_coding(headers)
    if (size_of(headers.get(b"content-length", b"")) or 0) > limit:  # before a caller that asks is told to go on
        raise _too_large(limit)
    try:
        with Within(seconds):
            return await _read(receive, limit)
    except TimeoutError as error:
        raise HTTPException(408, f"the body took more than {seconds:g} s", {"Connection": "close"}) from error


async def _read(receive: Receive, limit: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return bytes(body)


def _require_type(headers: Mapping[bytes, bytes], accepted: Set[str]) -> None:
    if (content_type := content_type_of(headers)) not in accepted:
        wanted = " or ".join(sorted(filter(None, accepted)))
        raise HTTPException(415, f"send Content-Type: {wanted}, not {content_type or 'none'}")


def _require_no_coding(headers: Mapping[bytes, bytes]) -> None:
    """RFC 9110, section 15.5.16: what would have been accepted is told in Accept-Encoding."""
    if b"content-encoding" not in headers:
        return
    coding = headers[b"content-encoding"].decode("latin-1").strip().lower()
    if coding != "identity":
        raise HTTPException(415, f"send the body as it is, not coded as {coding!r}", {"Accept-Encoding": "identity"})


def _too_large(limit: int) -> InputTooLarge:
    return InputTooLarge(f"the body has more than {limit:,} bytes, the most that is accepted")
