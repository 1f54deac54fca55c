"""The CPUs that this process may use. macOS has no affinity mask: a process there may use them all."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

UNLIMITED = 1 << 16
"""More CPUs than a machine has."""


def allowed_cpus() -> set[int]:
    """Their numbers, from 0."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def usable_cpus() -> int:
    """How many threads can run at once: by the affinity mask and the container's quota."""
    return max(1, min(len(allowed_cpus()), cgroup_cpus()))


def cgroup_cpus(root: Path = Path("/sys/fs/cgroup")) -> int:
    """The container's CPU quota, 1 or more; `UNLIMITED` without one."""
    try:
        if (root / "cpu.max").is_file():  # cgroup v2
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text()
            period = (root / "cpu/cpu.cfs_period_us").read_text()
    except OSError:
        return UNLIMITED
    return UNLIMITED if quota.strip() in ("max", "-1") else max(1, math.floor(int(quota) / int(period)))


@contextlib.contextmanager
def on_every_cpu() -> Iterator[None]:
    """Let this thread and its children use every CPU of the control group."""
    before = allowed_cpus()
    if len(before) == 1 and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(PermissionError):  # in a sandbox that forbids it
            os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))
    try:
        yield
    finally:
        if allowed_cpus() != before:
            os.sched_setaffinity(0, before)
