"""Who may ask and from where: the settings of the gates in `serving.app.gates`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from serving.errors import InputError
from serving.keys import Keys
from serving.variables import Environment, flag, words

ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+|\*")


@dataclass(frozen=True)
class Protection:
    """By default anybody may ask, under any host name, and no page of another origin may read the answers.

    Attributes:
        api_keys: keys that are accepted, as `serving.keys` reads them.
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
            api_keys=words(environment, "TUNESHIP_API_KEYS"),
            api_keys_file=Path(file) if file else None,
            open_metrics=flag(environment, "TUNESHIP_OPEN_METRICS") or False,
            cors_origins=_origins(environment),
            allowed_hosts=tuple(host.lower() for host in words(environment, "TUNESHIP_ALLOWED_HOSTS")),
        )

    def keys(self) -> Keys | None:
        """The keys of which callers must show one, read now; None where they need none. Raises InputError."""
        return Keys(self.api_keys, self.api_keys_file) if self.api_keys or self.api_keys_file else None


def _origins(environment: Environment) -> tuple[str, ...]:
    name = "TUNESHIP_CORS_ORIGINS"
    origins = words(environment, name)
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise InputError(f"{name}: {origin!r} is no origin; such as https://example.org is one", field=name)
    return origins
