"""What fits into one engine call, and how much may wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BatchShape:
    """The limits of one engine call; ``python -m bench batching`` measures the defaults.

    Attributes:
        tokens: most tokens, padding included; a longer row runs alone. More leave the CPU cache and delay arrivals.
        ratio: most that the longest row may exceed the shortest, as a factor.
        rows: most rows; 1 where a row's answer depends on its neighbours.
        call_cost: fixed cost of a call, in tokens.
        predictable: whether a row's tokens predict its duration; not so in generation.
    """

    tokens: int = 256
    ratio: float = 1.5
    rows: int = 512
    call_cost: int = 10
    predictable: bool = True

    def fits(self, rows: int, shortest: int, longest: int) -> bool:
        """Whether ``rows`` rows of ``shortest`` to ``longest`` tokens may share a call. One row always may."""
        within = rows <= self.rows and rows * longest <= self.tokens and longest <= self.ratio * shortest
        return within or rows == 1

    def cost(self, rows: int, longest: int) -> int:
        """In tokens."""
        return self.call_cost + rows * longest

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
    """Most rows that may wait, and most tokens in all of them."""

    rows: int = 1024
    tokens: int = 65_536
