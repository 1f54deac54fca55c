"""Raw requests and their parts, in bytes: what no HTTP client would send can be written as easily as what one would."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

MAX_BODY = 4 * 2**20
"""The bytes of a body that a server accepts by default."""
PIECE = 64 * 1024


def head(method: str, path: str, *headers: str) -> bytes:
    """A request's head whose answer ends the connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post(path: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A request with a body of JSON; ``length`` replaces the length that it tells."""
    told = len(body) if length is None else length
    return head("POST", path, "Content-Type: application/json", f"Content-Length: {told}", *headers) + body


def post_json(path: str, content: Any, *headers: str) -> bytes:
    return post(path, json.dumps(content, ensure_ascii=False).encode(), *headers)


def chunked(path: str = "/predict", *headers: str) -> bytes:
    """The head of a request whose body comes in chunks."""
    return head("POST", path, "Content-Type: application/json", "Transfer-Encoding: chunked", *headers)


def for_ever(first: bytes, part: bytes) -> Iterator[bytes]:
    """``first``, then ``part`` again and again, as many at once as make a large piece."""
    yield first
    yield from itertools.repeat(part * max(1, PIECE // len(part)))


def full_body(opening: bytes, part: bytes, closing: bytes) -> bytes:
    """A body as large as a server accepts: ``part`` again and again."""
    return opening + part * ((MAX_BODY - len(opening) - len(closing)) // len(part)) + closing
