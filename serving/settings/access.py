"""Who may ask and from where: the settings of `serving.http.middleware.access`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from serving.errors import InputError
from serving.settings.api_keys import ApiKeys
from serving.settings.environment import Environment, flag, words

PROBES = frozenset({"/livez", "/readyz", "/ping", "/health", "/tei/health", "/v2/health/live", "/v2/health/ready"})
"""Health checks: open to every host name and without a key. They tell only whether the server is ready."""

METRICS = frozenset({"/metrics", "/tei/metrics"})

HOST = r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]"
ORIGIN = rf"https?://({HOST})(:\d+)?|\*"


@dataclass(frozen=True)
class AccessPolicy:
    """By default every request is accepted, and only pages of the same origin may read answers.

    Attributes:
        api_keys: see `serving.settings.api_keys`.
        api_keys_file: of further keys.
        open_metrics: whether ``/metrics`` needs no key.
        cors_origins: whose pages may read answers; ``*`` for all.
        allowed_hosts: all if empty.
    """

    api_keys: tuple[str, ...] = ()
    api_keys_file: Path | None = None
    open_metrics: bool = False
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        file = environment.get("TUNESHIP_API_KEYS_FILE")
        return cls(
            api_keys=_read_keys(environment, file),
            api_keys_file=Path(file) if file else None,
            open_metrics=flag(environment, "TUNESHIP_OPEN_METRICS") or False,
            cors_origins=_read_words(
                environment, "TUNESHIP_CORS_ORIGINS", ORIGIN, "origin; such as https://example.org"
            ),
            allowed_hosts=_read_words(environment, "TUNESHIP_ALLOWED_HOSTS", HOST, "host's name; such as example.org"),
        )

    @property
    def asks_for_keys(self) -> bool:
        return bool(self.api_keys or self.api_keys_file)

    @property
    def without_key(self) -> frozenset[str]:
        """Paths whose GET never needs a key."""
        return PROBES | METRICS if self.open_metrics else PROBES

    def keys(self) -> ApiKeys | None:
        """The accepted keys, None if requests need none; raises InputError."""
        return ApiKeys(self.api_keys, self.api_keys_file) if self.asks_for_keys else None


def _read_keys(environment: Environment, file: str | None) -> tuple[str, ...]:
    """An empty variable would accept everybody, so it raises InputError."""
    keys = words(environment, "TUNESHIP_API_KEYS")
    for name, value in (("TUNESHIP_API_KEYS", keys), ("TUNESHIP_API_KEYS_FILE", file)):
        if name in environment and not value:
            raise InputError(f"{name} is empty; it names the keys that callers must show, or is not set", field=name)
    return keys


def _read_words(environment: Environment, name: str, pattern: str, what: str) -> tuple[str, ...]:
    """Words in lower case, as browsers send them; raises InputError."""
    found = tuple(word.lower() for word in words(environment, name))
    for word in found:
        if not re.fullmatch(pattern, word):
            raise InputError(f"{name}: {word!r} is no {what} is one", field=name)
    return found
