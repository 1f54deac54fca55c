"""How a registry is told who asks: docker's logins, and the tokens that a registry sends its callers for.

https://distribution.github.io/distribution/spec/auth/token, https://docs.docker.com/reference/cli/docker/login
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx

from stores.errors import StoreError

HELPER_SECONDS = 30
DOCKER_HUB = "registry-1.docker.io"
DOCKER_HUB_LOGIN = "https://index.docker.io/v1/"
"""What `docker login` calls it."""

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_HELPER = re.compile(r"[\w.-]+")


class Login(httpx.Auth):
    """Asked for a login, it answers with docker's for this host, or with the token that it gets for it."""

    requires_response_body = True

    def __init__(self, host: str) -> None:
        self._host = host
        self._authorization: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """A token is kept for the next request; another scope needs another one."""
        if request.url.netloc.decode() != self._host:  # a blob's bytes may lie elsewhere
            yield request
            return
        if self._authorization:
            request.headers["Authorization"] = self._authorization
        response = yield request
        if response.status_code != 401:
            return
        kind, _, parts = response.headers.get("WWW-Authenticate", "").partition(" ")
        basic = docker_login(self._host)
        if kind.lower() == "bearer":
            answer = yield _token_request(dict(_CHALLENGE.findall(parts)), basic, request.url.scheme)
            self._authorization = _bearer(answer)
        else:
            self._authorization = f"Basic {basic}" if basic else None
        if self._authorization:
            request.headers["Authorization"] = self._authorization
            yield request


def _token_request(challenge: dict[str, str], basic: str | None, scheme: str) -> httpx.Request:
    realm = httpx.URL(challenge.get("realm", ""))
    if realm.scheme != "https" and realm.scheme != scheme:
        raise StoreError("the registry sends its callers to an address without https for a token")
    params: dict[str, Any] = {name: challenge[name] for name in ("service", "scope") if name in challenge}
    headers = {"Authorization": f"Basic {basic}"} if basic else {}
    return httpx.Request("GET", realm, params=params, headers=headers)


def _bearer(answer: httpx.Response) -> str | None:
    try:
        content = answer.json()
        return f"Bearer {content.get('token') or content['access_token']}"
    except (ValueError, KeyError, AttributeError):
        return None


def docker_login(host: str) -> str | None:
    """Name and password in base64, by `docker login`'s file or the helper that it names; None without a login."""
    path = Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser() / "config.json"
    try:
        config = json.loads(path.read_bytes())
        name = DOCKER_HUB_LOGIN if host == DOCKER_HUB else host
        logins, helper = config.get("auths", {}), config.get("credHelpers", {}).get(name)
        if auth := (logins.get(name) or logins.get(f"https://{name}") or {}).get("auth"):
            return str(auth)
        helper = helper or config.get("credsStore")
    except (OSError, ValueError, AttributeError):
        return None
    return _ask_helper(helper, name) if isinstance(helper, str) and _HELPER.fullmatch(helper) else None


def _ask_helper(helper: str, host: str) -> str | None:
    command = [f"docker-credential-{helper}", "get"]
    try:
        answer = subprocess.run(command, input=host.encode(), capture_output=True, check=True, timeout=HELPER_SECONDS)
        login: dict[str, Any] = json.loads(answer.stdout)
        return base64.b64encode(f"{login['Username']}:{login['Secret']}".encode()).decode()
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None
