"""What every answer tells a browser: guess no type, frame nothing, leak no address, keep no copy.

As OWASP's "HTTP Headers" cheat sheet advises for APIs. Strict-Transport-Security is left to whoever ends TLS.
"""

from __future__ import annotations

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]

NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""For what is no page; our own page has a policy of its own, in `serving.http.page`."""


_ALL = [*SECURITY_HEADERS, NOTHING]
_NAMES = frozenset(name for name, _ in _ALL)


def secured(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers with those above; a policy or a cache rule of its own stays."""
    own = [name for name, _ in headers if name in _NAMES]
    return headers + ([each for each in _ALL if each[0] not in own] if own else _ALL)
