"""Request targets in absolute form, ``GET http://host/path``, which proxies send and every server takes (RFC 9112)."""

from __future__ import annotations

import httptools

SCHEMES = frozenset({b"http", b"https"})


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Its authority, which replaces the Host header, and the target from its path on; ValueError for other forms."""
    scheme, _, rest = target.partition(b"://")
    parsed = httptools.parse_url(target)
    if scheme.lower() not in SCHEMES or not parsed.host or parsed.userinfo is not None:
        raise ValueError("the request's target is neither a path nor an http URL")
    end = min((at for sign in (b"/", b"?") if (at := rest.find(sign)) >= 0), default=len(rest))
    authority, origin = rest[:end], rest[end:]
    return authority, origin if origin.startswith(b"/") else b"/" + origin
