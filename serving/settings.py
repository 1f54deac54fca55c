"""What the surroundings decide: which bundle, how many threads, how long a queue. Read once, by the adaptors."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from serving.errors import InputError

DEFAULT_BUNDLE = Path(__file__).resolve().parent.parent / "bundle"
"""Where the image and the Bento carry their bundle: beside the package."""

LAMBDA_MB_PER_CPU = 1769
"""AWS Lambda gives one vCPU's worth of time per 1,769 MB of configured memory (AWS Lambda's developer guide)."""


@dataclass(frozen=True)
class Settings:
    """How to serve.

    ``bundle`` is a folder; ``threads`` the CPU threads of the graph; ``max_queue`` the texts that may wait;
    ``trusted_key`` a public key in PEM whose owner must have signed the bundle, None where nobody must.
    """

    bundle: Path = DEFAULT_BUNDLE
    threads: int = 1
    max_queue: int = 1024
    trusted_key: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """From TUNESHIP_BUNDLE, _THREADS, _MAX_QUEUE and _REQUIRE_SIGNATURE; raises InputError naming the variable."""
        return cls(
            bundle=Path(environment.get("TUNESHIP_BUNDLE") or DEFAULT_BUNDLE),
            threads=_positive(environment, "TUNESHIP_THREADS") or available_cpus(environment),
            max_queue=_positive(environment, "TUNESHIP_MAX_QUEUE") or cls.max_queue,
            trusted_key=required_key(environment),
        )


def required_key(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The key in TUNESHIP_REQUIRE_SIGNATURE; raises InputError where that is set and empty.

    Elsewhere empty means unset; here it would let every bundle in where somebody meant to keep some out.
    """
    key = environment.get("TUNESHIP_REQUIRE_SIGNATURE")
    if key is None:
        return None
    if not key:
        name = "TUNESHIP_REQUIRE_SIGNATURE"
        raise InputError(f"{name} is empty; it takes the path of a public key in PEM, or is not set at all", field=name)
    return Path(key)


def available_cpus(environment: Mapping[str, str] = os.environ) -> int:
    """CPUs this process may really use: Lambda's memory share, the container's quota, or the affinity mask."""
    if memory := environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"):
        return max(1, int(memory) // LAMBDA_MB_PER_CPU)
    return max(1, min(len(os.sched_getaffinity(0)), _cgroup_cpus()))


def _cgroup_cpus(root: Path = Path("/sys/fs/cgroup")) -> int:
    """The CPU quota of this container, rounded down, at least one; a large number where there is none."""
    unlimited = 1 << 16
    try:
        if (root / "cpu.max").is_file():  # cgroup v2
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text()
            period = (root / "cpu/cpu.cfs_period_us").read_text()
    except OSError:
        return unlimited
    return unlimited if quota.strip() in ("max", "-1") else max(1, math.floor(int(quota) / int(period)))


def _positive(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{name} is {text!r}; a whole number of at least 1 is accepted", field=name)
    return int(text)
