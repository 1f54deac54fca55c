"""Access control before a request's body is read: API keys, host names, cross-origin pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.errors import error_response
from serving.protocols.openai_models import speaks_openai
from serving.settings.access import PROBES, AccessPolicy
from serving.settings.api_keys import ApiKeys

Check = Callable[[Scope], Response | None]
"""Returns the refusal of a request, or None."""

HEADER_LENGTH = "Inference-Header-Content-Length"
EXPOSED_HEADERS = ("X-Request-ID", "Server-Timing", "Retry-After", "X-Truncated", "WWW-Authenticate", HEADER_LENGTH)
ALLOWED_HEADERS = (
    "Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "traceparent", "tracestate", "Request-Timeout",
    "X-Request-Timeout", HEADER_LENGTH,
)  # fmt: skip


def access_middleware(access_policy: AccessPolicy, keys: ApiKeys | None) -> list[Middleware]:
    checks: list[Check] = []
    if access_policy.allowed_hosts:
        checks.append(HostCheck(access_policy.allowed_hosts))
    if keys:
        checks.append(ApiKeyCheck(keys, access_policy.without_key))
    access = [Middleware(AccessMiddleware, checks=checks)] if checks else []
    if not access_policy.cors_origins:
        return access
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(access_policy.cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=list(ALLOWED_HEADERS),
        expose_headers=list(EXPOSED_HEADERS),
    )
    return [cors, *access]


class AccessMiddleware:
    """Probes pass unchecked."""

    def __init__(self, app: ASGIApp, checks: Sequence[Check]) -> None:
        self._app = app
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the first refusal."""
        if scope["type"] == "http" and scope["path"] not in PROBES:
            for check in self._checks:
                if (refusal := check(scope)) is not None:
                    await refusal(scope, receive, send)
                    return
        await self._app(scope, receive, send)


class ApiKeyCheck:
    """``Authorization: Bearer KEY`` (RFC 6750) or ``X-API-Key: KEY``."""

    def __init__(self, keys: ApiKeys, without_key: Iterable[str]) -> None:
        self._keys = keys
        # The page holds no secret, and is where a user types the key.
        self._open = {("GET", "/"), ("HEAD", "/"), *(("GET", path) for path in without_key)}

    def __call__(self, scope: Scope) -> Response | None:
        """401 without a valid key."""
        if (scope["method"], scope["path"]) in self._open:
            return None
        key = _find_key(scope)
        if key and self._keys.accept(key):
            return None
        message, challenge = "the API key is not one of this server's", 'Bearer realm="tuneship", error="invalid_token"'
        if key is None:
            message = "this server asks for an API key: send Authorization: Bearer KEY, or X-API-Key: KEY"
            challenge = 'Bearer realm="tuneship"'
        headers = {"WWW-Authenticate": challenge}
        return error_response(401, "unauthorized", message, headers, openai=speaks_openai(scope["path"]))


class HostCheck:
    """Against DNS rebinding: no page can use a host name of its own."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._hosts = frozenset(hosts)

    def __call__(self, scope: Scope) -> Response | None:
        """421 (RFC 9110, section 15.5.20) under another name."""
        if _host_name(_find_header(scope, b"host") or b"") in self._hosts:
            return None
        message = "this server does not answer under that host name"
        return error_response(421, "misdirected", message, openai=speaks_openai(scope["path"]))


def _find_key(scope: Scope) -> bytes | None:
    """A request's key, empty where it is malformed."""
    if (key := _find_header(scope, b"x-api-key")) is not None:
        return key.strip()
    if (authorization := _find_header(scope, b"authorization")) is None:
        return None
    scheme, _, key = authorization.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def _find_header(scope: Scope, name: bytes) -> bytes | None:
    """Repeated ones are one with all values (RFC 9110, section 5.3): two keys are no key."""
    values = [value for key, value in scope["headers"] if key == name]
    return b", ".join(values) if values else None


def _host_name(header: bytes) -> str:
    """Without the port; an IPv6 address keeps its brackets."""
    name = header.decode("latin-1").lower()
    return name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]
