"""What a target is given: the same values for each, under its own names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from serving.errors import InputError, quote

IMAGE = re.compile(r"(?:[a-z0-9.-]+(?::\d+)?/)?[a-z0-9._-]+(?:/[a-z0-9._-]+)*@sha256:[0-9a-f]{64}")
NAME = re.compile(r"[a-z][a-z0-9-]{4,26}[a-z0-9]")
"""What every target accepts: names that are made of it, such as a load balancer's on AWS, have 32 characters."""


@dataclass(frozen=True)
class Deployment:
    """``cpus`` and ``memory_mb`` (MiB) are of a replica.

    ``concurrency``: requests that it has at once; of a Lambda function, in all, 0 for no limit. ``p99_ms``: asked for,
    0 if not. ``model_image``: with the bundle alone, where a target has one.
    """

    name: str
    image: str
    bundle_digest: str
    cpus: int
    memory_mb: int
    threads: int
    concurrency: int
    min_replicas: int
    max_replicas: int
    instance_type: str = ""
    timeout_seconds: int = 30
    log_retention_days: int = 30
    p99_ms: int = 0
    model_image: str = ""

    @property
    def image_digest(self) -> str:
        return self.image.partition("@")[2]

    @property
    def image_name(self) -> str:
        return self.image.partition("@")[0]


@dataclass(frozen=True)
class Need:
    """Of one replica: CPUs as measured, memory in MiB with its margin."""

    cpus: int
    memory_mb: int


@dataclass(frozen=True)
class Size:
    """What a target offers for a need; an instance's name where it lets instances."""

    cpus: int
    memory_mb: int
    instance_type: str = ""

    @classmethod
    def exactly(cls, need: Need, step: int = 64) -> Self:
        """Where any size can be had, in steps of so many MiB."""
        return cls(need.cpus, round_up(need.memory_mb, step))


def round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def check_image(image: str, option: str = "--image") -> str:
    """Raises InputError for an image that is not named by its digest."""
    if not IMAGE.fullmatch(image):
        raise InputError(
            f"{option} {quote(image)}: NAME@sha256:DIGEST is accepted, as a tag may be another image tomorrow. "
            "docker push prints the digest; docker inspect --format '{{index .RepoDigests 0}}' IMAGE shows it",
            field=option[2:].replace("-", "_"),
        )
    return image


def check_name(name: str, option: str = "--name") -> str:
    """Raises InputError for a name that some target refuses."""
    if not NAME.fullmatch(name):
        accepted = "6 to 28 of a-z, 0-9 and -, the first a letter, the last none of -"
        raise InputError(f"{option} {quote(name)}: {accepted} are accepted", field="name")
    return name


def name_of(text: str) -> str:
    """A name of the accepted form, from a bundle's."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")
    names = (plain[:28].strip("-"), f"tuneship-{plain}"[:28].strip("-"))
    return next(name for name in names if NAME.fullmatch(name))
