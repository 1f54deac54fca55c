"""What fits into one engine call, and how much may wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BatchShape:
    """Limits of one engine call. Measure them with ``python -m bench batching``.

    Attributes:
        tokens: padding included; a longer row runs alone. More leave the CPU cache and delay arrivals.
        ratio: of the longest row to the shortest.
        rows: 1 where answers depend on neighbours.
        call_cost: of a call, in tokens.
    """

    tokens: int = 256
    ratio: float = 1.5
    rows: int = 512
    call_cost: int = 10

    def fits(self, rows: int, shortest: int, longest: int) -> bool:
        """Whether ``rows`` rows of ``shortest`` to ``longest`` tokens may share a call."""
        within = rows <= self.rows and rows * longest <= self.tokens and longest <= self.ratio * shortest
        return within or rows == 1

    def batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Batches of indices, shortest first. A batch ends where another call costs less than more padding."""
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):
            if batch and not self._joins(len(batch), lengths[batch[0]], lengths[batch[-1]], lengths[row]):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _joins(self, rows: int, shortest: int, longest: int, length: int) -> bool:
        return rows * (length - longest) <= self.call_cost and self.fits(rows + 1, shortest, length)


@dataclass(frozen=True)
class QueueLimits:
    """Most waiting rows, and most tokens in them."""

    rows: int = 1024
    tokens: int = 65_536
