"""Who is let in: an API key, a host name that is ours. Asked before a request's body is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.errors import refusal
from serving.protocols.openai_models import speaks_openai
from serving.settings.access import PROBES, AccessPolicy
from serving.settings.api_keys import ApiKeys

Gate = Callable[[Scope], Response | None]
"""Gives the refusal of a request, or nothing where it may pass."""

BINARY = "Inference-Header-Content-Length"
READ_BY_PAGES = ("X-Request-ID", "Server-Timing", "Retry-After", "X-Truncated", "WWW-Authenticate", BINARY)
WAITS_BY_PAGES = ("Request-Timeout", "X-Request-Timeout")
SENT_BY_PAGES = (
    "Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "traceparent", "tracestate", *WAITS_BY_PAGES, BINARY,
)  # fmt: skip


class Gated:
    """Lets a request through that every gate lets through."""

    def __init__(self, app: ASGIApp, gates: Sequence[Gate]) -> None:
        self._app = app
        self._gates = gates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the first gate's refusal, or pass on."""
        if scope["type"] == "http" and scope["path"] not in PROBES:
            for gate in self._gates:
                if (refused := gate(scope)) is not None:
                    await refused(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class KeyGate:
    """``Authorization: Bearer KEY`` (RFC 6750) or ``X-API-Key: KEY``."""

    def __init__(self, keys: ApiKeys, without_key: Iterable[str]) -> None:
        self._keys = keys
        # The page holds no secret, and is where a user types the key.
        self._open = {("GET", "/"), ("HEAD", "/"), *(("GET", path) for path in without_key)}

    def __call__(self, scope: Scope) -> Response | None:
        """401 without a key that is accepted."""
        if (scope["method"], scope["path"]) in self._open:
            return None
        given = _given_key(scope)
        if given and self._keys.accept(given):
            return None
        message, challenge = "the API key is not one of this server's", 'Bearer realm="tuneship", error="invalid_token"'
        if given is None:
            message = "this server asks for an API key: send Authorization: Bearer KEY, or X-API-Key: KEY"
            challenge = 'Bearer realm="tuneship"'
        headers = {"WWW-Authenticate": challenge}
        return refusal(401, "unauthorized", message, headers, openai=speaks_openai(scope["path"]))


class HostGate:
    """Only requests that name one of our hosts: no page reaches us under a name that it has turned to our address."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = frozenset(hosts)

    def __call__(self, scope: Scope) -> Response | None:
        """421 (RFC 9110, section 15.5.20) under another name."""
        if _host(_header(scope, b"host") or b"") in self._hosts:
            return None
        message = "this server does not answer under that host name"
        return refusal(421, "misdirected", message, openai=speaks_openai(scope["path"]))


def gates(access_policy: AccessPolicy) -> list[Middleware]:
    """What stands before the routes, outermost first; nothing by default. Raises InputError for malformed keys."""
    asked: list[Gate] = []
    if access_policy.allowed_hosts:
        asked.append(HostGate(access_policy.allowed_hosts))
    if keys := access_policy.keys():
        asked.append(KeyGate(keys, access_policy.without_key))
    gated = [Middleware(Gated, gates=asked)] if asked else []
    return [*_cross_origin(access_policy.cors_origins), *gated]


def _cross_origin(origins: Sequence[str]) -> list[Middleware]:
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=list(SENT_BY_PAGES),
            expose_headers=list(READ_BY_PAGES),
        )
    ]


def _given_key(scope: Scope) -> bytes | None:
    """The key that a request shows, empty where it shows it malformed."""
    if (key := _header(scope, b"x-api-key")) is not None:
        return key.strip()
    if (authorization := _header(scope, b"authorization")) is None:
        return None
    scheme, _, key = authorization.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def _header(scope: Scope, name: bytes) -> bytes | None:
    found: bytes | None = next((value for key, value in scope["headers"] if key == name), None)
    return found


def _host(header: bytes) -> str:
    """The host's name without its port; an IPv6 address keeps its brackets."""
    name = header.decode("latin-1").lower()
    return name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]
