"""The time until `tuneship serve` is ready."""

from __future__ import annotations

from pathlib import Path

from bench.figures import Figure, median_of
from bench.subject import VARIANTS, Subject
from bench.systems import tuneship_serve
from deploy.measurement.process import free_port, spawned, wait_ready


def measure_startup(subject: Subject, repeats: int, logs: Path) -> list[Figure]:
    """Seconds to the first 200 of ``/readyz``, with files in the page cache."""
    return [
        median_of(
            f"tuneship serve, {variant}: ready in",
            [_seconds_to_ready(subject.bundles[variant], logs / f"startup-{variant}.log") for _ in range(repeats)],
            "s",
        )
        for variant in VARIANTS
    ]


def _seconds_to_ready(bundle: Path, log: Path) -> float:
    port = free_port()
    with spawned("tuneship serve", tuneship_serve(bundle, port), log=log) as child:
        return wait_ready(child, port)
