"""A request's body: of a content type that is understood, and no more of it than the bundle's limit."""

from __future__ import annotations

from collections.abc import Mapping, Set

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from serving.app.interruption import Within
from serving.errors import InputTooLarge

JSON = frozenset({"application/json"})


def content_type_of(headers: Mapping[bytes, bytes]) -> str:
    """The content type without its parameters, empty where none is told."""
    return headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, limit: int, seconds: float, accepted: Set[str] = JSON
) -> bytes:
    """The body, given up as soon as it is past ``limit`` bytes, so that nobody can fill the memory.

    ``seconds`` is how long it may take to arrive, so that nobody can hold a connection by sending byte after byte.

    Raises HTTPException 415 for a content type or a coding that is not accepted and 408 for a body that is late,
    InputTooLarge past the limit, ClientDisconnect.
    """
    if (content_type := content_type_of(headers)) not in accepted:
        wanted = " or ".join(sorted(filter(None, accepted)))
        raise HTTPException(415, f"send Content-Type: {wanted}, not {content_type or 'none'}")
    if (coding := headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()) != "identity":
        # RFC 9110, section 15.5.16: what would have been accepted is told in Accept-Encoding.
        raise HTTPException(415, f"send the body as it is, not coded as {coding!r}", {"Accept-Encoding": "identity"})
    if _length(headers) > limit:  # before a caller that asks is told to go on
        raise _too_large(limit)
    try:
        with Within(seconds):
            return await _read(receive, limit)
    except TimeoutError as error:
        # What is still to come would be taken for the next request's head.
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


def _length(headers: Mapping[bytes, bytes]) -> int:
    """As the head tells it, 0 where it does not."""
    told = headers.get(b"content-length", b"")
    return int(told) if told.isdigit() and len(told) < 20 else 0


def _too_large(limit: int) -> InputTooLarge:
    return InputTooLarge(f"the body has more than {limit:,} bytes, the most that is accepted")
