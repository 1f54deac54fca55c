"""What a batch may hold, and how much of batches is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from serving.bundle.manifest import LARGEST
from serving.settings.environment import positive, seconds

ANSWERS_PER_BODY = 8

BATCH = "/batch"
"""The path."""


@dataclass(frozen=True)
class BatchLimits:
    """Attributes:
    rows: of a batch.
    body_bytes: of a batch; its answers may have ANSWERS_PER_BODY times as many.
    unfinished: batches at once; one of them runs.
    stored_bytes: of all batches that BentoML keeps, with their answers.
    retention_seconds: from a batch's end until it is forgotten.
    """

    rows: int = 10_000
    body_bytes: int = 8 * 2**20
    unfinished: int = 8
    stored_bytes: int = 2**30
    retention_seconds: float = 24 * 3600.0

    @property
    def answer_bytes(self) -> int:
        return self.body_bytes * ANSWERS_PER_BODY

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raises InputError."""
        return cls(
            rows=positive(environment, "TUNESHIP_BATCH_MAX_ROWS", LARGEST) or cls.rows,
            body_bytes=positive(environment, "TUNESHIP_BATCH_MAX_BYTES", LARGEST) or cls.body_bytes,
            unfinished=positive(environment, "TUNESHIP_BATCH_MAX_UNFINISHED", 1024) or cls.unfinished,
            stored_bytes=positive(environment, "TUNESHIP_BATCH_MAX_STORED_BYTES") or cls.stored_bytes,
            retention_seconds=seconds(environment, "TUNESHIP_BATCH_RETENTION_SECONDS", cls.retention_seconds),
        )
