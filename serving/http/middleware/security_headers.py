"""Security headers, as in OWASP's "HTTP Headers" cheat sheet; Strict-Transport-Security is for whoever ends TLS."""

from __future__ import annotations

SECURITY_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
]

_NAMES = frozenset(name for name, _ in SECURITY_HEADERS)


def add_security_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those that an answer lacks: the page has its own policy."""
    present = [name for name, _ in headers if name in _NAMES]
    return headers + ([each for each in SECURITY_HEADERS if each[0] not in present] if present else SECURITY_HEADERS)
