"""Reads a request's body within its limits: content type, bytes, seconds."""

from __future__ import annotations

from collections.abc import Mapping, Set

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.errors import InputTooLarge
from serving.http.timeouts import Within

JSON = frozenset({"application/json"})


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, limit: int, seconds: float, accepted: Set[str]
) -> bytes:
    """At most ``limit`` bytes, within ``seconds``; raises HTTPException (408, 415), InputTooLarge, ClientDisconnect."""
    _check_headers(headers, accepted)
    if (parse_size(headers.get(b"content-length", b"")) or 0) > limit:  # before the server answers 100 Continue
        raise _too_large(limit)
    try:
        with Within(seconds):
            return await _receive_body(receive, limit)
    except TimeoutError as error:
        raise HTTPException(408, f"the body took more than {seconds:g} s", {"Connection": "close"}) from error


async def _receive_body(receive: Receive, limit: int) -> bytes:
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
