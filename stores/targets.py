"""What names a place: ``hf:owner/name``, ``s3://bucket/path``, …, each with ``#sha256=…`` or without."""

from __future__ import annotations

import re
from dataclasses import dataclass

from serving.errors import InputError, did_you_mean

OWN = ("hf", "mlflow", "bento", "oci")
"""The kinds that are no URL."""

SCHEMES = ("s3", "gs", "file")
"""Those that are named to users; fsspec has more."""

ACCEPTED = "hf:OWNER/NAME, s3://…, gs://…, file://…, mlflow:NAME, bento:NAME:TAG or oci:REGISTRY/NAME:TAG"

_TARGET = re.compile(
    rf"(?P<kind>{'|'.join(OWN)}):(?!//)(?P<name>.*)|(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<path>.*)", re.S
)
_PIN = re.compile(r"#sha256=([0-9a-f]{64})")
_SECRET_PLACES = (
    (re.compile(r"(://)[^\s/@'\"]+@"), r"\1…@"),
    (re.compile(r"(://[^\s?'\"]*)\?[^\s'\"]*"), r"\1?…"),
    (re.compile(r"\b(?:hf_|gh[pousr]_|github_pat_|api_org_)\w{8,}|\bAKIA\w{12,}"), "…"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 …"),
)


@dataclass(frozen=True)
class Target:
    """``kind`` is of OWN, or a URL's scheme; ``name`` the rest; ``digest`` that of the bundle asked for, if any."""

    kind: str
    name: str
    digest: str | None = None

    @property
    def url(self) -> str:
        """Whole, with what it may hold of credentials."""
        return f"{self.kind}:{self.name}" if self.kind in OWN else f"{self.kind}://{self.name}"

    def __str__(self) -> str:
        return scrub(self.url)

    def __repr__(self) -> str:
        return f"Target({self})"


def is_target(text: str) -> bool:
    """Whether it is no path of this machine; ``./hf:x`` is one."""
    return _TARGET.fullmatch(text) is not None


def parse_target(text: str) -> Target:
    """Raises InputError."""
    place, mark, pin = text.partition("#")
    found = _PIN.fullmatch(mark + pin)
    if mark and not found:
        raise InputError(f"{scrub(text)}: after # a target takes sha256= and the 64 hexadecimal digits of a bundle")
    parts = _TARGET.fullmatch(place)
    if parts is None:
        meant = did_you_mean(place.partition(":")[0], [*OWN, *SCHEMES])
        raise InputError(f"{scrub(text)}: is no place to keep a model at; give {ACCEPTED}{meant}")
    kind, name = (parts["kind"], parts["name"]) if parts["kind"] else (parts["scheme"], parts["path"])
    name = name.rstrip("/")
    if not name or any(ord(letter) < 32 for letter in name):
        raise InputError(f"{scrub(text)}: the target names nothing; give {ACCEPTED}")
    return Target(kind, name, found[1] if found else None)


def scrub(text: str) -> str:
    """Without what a URL can hold of credentials: user and password, query, tokens."""
    for pattern, instead in _SECRET_PLACES:
        text = pattern.sub(instead, text)
    return text
