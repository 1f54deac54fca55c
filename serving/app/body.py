"""A request's body: of a content type that is understood, and no more of it than the bundle's limit."""

from __future__ import annotations

import asyncio
from collections.abc import Set

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest

from serving.errors import InputTooLarge

JSON = frozenset({"application/json"})


def content_type_of(http: HttpRequest) -> str:
    """The content type without its parameters, empty where none is told."""
    return http.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(http: HttpRequest, limit: int, seconds: float, accepted: Set[str] = JSON) -> bytes:
    """The body, given up as soon as it is past ``limit`` bytes, so that nobody can fill the memory.

    ``seconds`` is how long it may take to arrive, so that nobody can hold a connection by sending byte after byte.

    Raises HTTPException 415 for a content type that is not accepted and 408 for a body that is late, InputTooLarge past
    the limit, ClientDisconnect.
    """
    if (content_type := content_type_of(http)) not in accepted:
        wanted = " or ".join(sorted(filter(None, accepted)))
        raise HTTPException(415, f"send Content-Type: {wanted}, not {content_type or 'none'}")
    try:
        async with asyncio.timeout(seconds):
            return await _read(http, limit)
    except TimeoutError as error:
        # What is still to come would be taken for the next request's head.
        raise HTTPException(408, f"the body took more than {seconds:g} s", {"Connection": "close"}) from error


async def _read(http: HttpRequest, limit: int) -> bytes:
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > limit:
            raise InputTooLarge(f"the body has more than {limit:,} bytes, the most that is accepted")
    return bytes(body)
