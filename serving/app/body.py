"""A request's body: JSON only, and no more of it than the bundle's limit."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest

from serving.errors import InputTooLarge


async def read_body(http: HttpRequest, limit: int) -> bytes:
    """The body, given up as soon as it is past ``limit`` bytes, so that nobody can fill the memory.

    Raises HTTPException 415 for another content type than JSON, InputTooLarge past the limit, ClientDisconnect.
    """
    content_type = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, f"send Content-Type: application/json, not {content_type or 'none'}")
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > limit:
            raise InputTooLarge(f"the body has more than {limit:,} bytes, the most that is accepted")
    return bytes(body)
