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
"""What orchestrators ask: by an address of their own choice and without a key. It tells nothing but ready or not."""

METRICS = frozenset({"/metrics", "/tei/metrics"})

HOST = r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]"
ORIGIN = rf"https?://({HOST})(:\d+)?|\*"


@dataclass(frozen=True)
class AccessPolicy:
    """By default anybody may ask, under any host name, and no page of another origin may read the answers.

    Attributes:
        api_keys: keys that are accepted, as `serving.settings.api_keys` reads them.
        api_keys_file: a file of such keys.
        open_metrics: whether ``/metrics`` needs no key.
        cors_origins: origins whose pages may call, such as ``https://example.org``; ``*`` for all.
        allowed_hosts: host names that a request may name; all where there are none.
    """

    api_keys: tuple[str, ...] = ()
    api_keys_file: Path | None = None
    open_metrics: bool = False
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """From the TUNESHIP_ variables; raises InputError naming the variable."""
        file = environment.get("TUNESHIP_API_KEYS_FILE")
        return cls(
            api_keys=_keys(environment, file),
            api_keys_file=Path(file) if file else None,
            open_metrics=flag(environment, "TUNESHIP_OPEN_METRICS") or False,
            cors_origins=_matching(environment, "TUNESHIP_CORS_ORIGINS", ORIGIN, "origin; such as https://example.org"),
            allowed_hosts=_matching(environment, "TUNESHIP_ALLOWED_HOSTS", HOST, "host's name; such as example.org"),
        )

    @property
    def asks_for_keys(self) -> bool:
        """Whether callers must show a key."""
        return bool(self.api_keys or self.api_keys_file)

    @property
    def without_key(self) -> frozenset[str]:
        """Paths of which a GET needs no key even so."""
        return PROBES | METRICS if self.open_metrics else PROBES

    def keys(self) -> ApiKeys | None:
        """The keys of which callers must show one, read now; None where they need none. Raises InputError."""
        return ApiKeys(self.api_keys, self.api_keys_file) if self.asks_for_keys else None


def _keys(environment: Environment, file: str | None) -> tuple[str, ...]:
    """Raises InputError where a variable is set and names no key.

    Elsewhere empty means unset; here it would let everybody in where somebody meant to let in a few.
    """
    keys = words(environment, "TUNESHIP_API_KEYS")
    for name, found in (("TUNESHIP_API_KEYS", keys), ("TUNESHIP_API_KEYS_FILE", file)):
        if name in environment and not found:
            raise InputError(f"{name} is empty; it names the keys that callers must show, or is not set", field=name)
    return keys


def _matching(environment: Environment, name: str, pattern: str, what: str) -> tuple[str, ...]:
    """Words in lower case, as browsers and clients send them; raises InputError for one that is none."""
    found = tuple(word.lower() for word in words(environment, name))
    for word in found:
        if not re.fullmatch(pattern, word):
            raise InputError(f"{name}: {word!r} is no {what} is one", field=name)
    return found
