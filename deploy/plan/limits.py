"""The sizes that services offer, as their documentation says."""

from __future__ import annotations

from collections.abc import Iterable

from deploy.plan.deployment import Need, Size
from serving.errors import InputError
from serving.settings.settings import LAMBDA_MB_PER_CPU

LAMBDA_MB = 128, 10_240

FARGATE = {
    1: range(2048, 8192 + 1, 1024),
    2: range(4096, 16_384 + 1, 1024),
    4: range(8192, 30_720 + 1, 1024),
    8: range(16_384, 61_440 + 1, 4096),
    16: range(32_768, 122_880 + 1, 8192),
}
"""MiB that a task may have, by its vCPUs."""

CLOUD_RUN = {
    1: range(512, 4096 + 1, 128),
    2: range(512, 8192 + 1, 128),
    4: range(2048, 16_384 + 1, 128),
    6: range(4096, 24_576 + 1, 128),
    8: range(4096, 32_768 + 1, 128),
}
"""MiB that an instance of the second generation may have, by its vCPUs."""


def lambda_size(need: Need) -> Size:
    """Memory decides the CPUs: as much as has the measured CPUs. Raises InputError."""
    memory = max(need.memory_mb, need.cpus * LAMBDA_MB_PER_CPU, LAMBDA_MB[0])
    if memory > LAMBDA_MB[1]:
        raise _too_large("AWS Lambda", need, f"{LAMBDA_MB[1]:,} MiB and {LAMBDA_MB[1] // LAMBDA_MB_PER_CPU} CPUs")
    return Size(need.cpus, memory)


def fargate_size(need: Need) -> Size:
    """Raises InputError."""
    return _from_table("AWS Fargate", FARGATE, need)


def cloud_run_size(need: Need) -> Size:
    """Raises InputError."""
    return _from_table("Cloud Run", CLOUD_RUN, need)


def _from_table(service: str, table: dict[int, range], need: Need) -> Size:
    """The fewest CPUs that suffice, then the least memory."""
    for cpus, sizes in table.items():
        memory = _least(sizes, need.memory_mb)
        if cpus >= need.cpus and memory:
            return Size(cpus, memory)
    cpus = max(table)
    raise _too_large(service, need, f"{cpus} CPUs and {table[cpus][-1]:,} MiB")


def _least(sizes: Iterable[int], memory: int) -> int:
    """0 if none is as large."""
    return next((size for size in sizes if size >= memory), 0)


def _too_large(service: str, need: Need, most: str) -> InputError:
    return InputError(
        f"{service} offers {most} at most; {need.cpus} CPUs and {need.memory_mb:,} MiB are needed. "
        "Plan for another target, or with fewer --cpus",
        field="target",
    )
