"""A measurement that no machine has made, for tests of what is planned with one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from deploy.capacity.service_times import BatchTime
from deploy.measurement.measurement import Measurement

CALLS = [BatchTime(rows, tokens, 0.001 + 0.0001 * rows * tokens) for tokens in (4, 8) for rows in (1, 2, 4, 8)]


def measurement_of(digest: str, **changed: Any) -> Measurement:
    """Of a small classifier on one CPU."""
    fields: dict[str, Any] = {
        "date": datetime(2026, 11, 1, 12, 0, tzinfo=UTC),
        "machine": {"architecture": "x86_64", "cpu": "a CPU", "features": []},
        "cpus": 1,
        "load_apart": True,
        "bundle_digest": digest,
        "variant": "fp32",
        "ready_seconds": 0.7,
        "memory_bytes": 300 * 2**20,
        "lone_p50_seconds": 0.0035,
        "lone_p99_seconds": 0.005,
        "full_requests_per_second": 500.0,
        "full_p99_seconds": 0.1,
        "connections": 32,
        "receive_seconds": 0.0003,
        "answer_seconds": 0.0002,
        "transport_seconds": 0.0005,
        "batch_rows": 512,
        "calls": CALLS,
        "requests": [[4], [6], [8], [8, 4]],
    }
    return Measurement(**fields | changed)
