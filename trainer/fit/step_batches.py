"""How the rows of an optimiser step are dealt among its batches and processes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Protocol

from torch.utils.data import Sampler


class Order(Protocol):
    """Of rows; so many of them are a step."""

    batch_size: int

    def set_epoch(self, epoch: int) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...


class StepBatches(Sampler[list[int]]):
    """One process's batches, of an order of rows in which ``order.batch_size`` of them are a step.

    The rows of a step depend on the order alone: neither on how many batches they are computed in, nor on how many
    processes. They go to ``accumulation`` times ``count`` batches, dealt in turn to ``count`` processes. The last step
    may have fewer rows, which are spread evenly; some batches may be empty, as all processes take equally many.
    """

    def __init__(self, order: Order, accumulation: int, rank: int = 0, count: int = 1) -> None:
        self.order = order
        self.accumulation = accumulation
        self.rank = rank
        self.count = count
        self.batch_size = order.batch_size // (accumulation * count)

    def set_epoch(self, epoch: int) -> None:
        self.order.set_epoch(epoch)

    def __len__(self) -> int:
        steps, rest = divmod(len(self.order), self.order.batch_size)
        return steps * self.accumulation + self._turns(rest)

    def __iter__(self) -> Iterator[list[int]]:
        rows = iter(self.order)
        while step := list(islice(rows, self.order.batch_size)):
            yield from self._deal(step)[self.rank :: self.count]

    def _deal(self, step: Sequence[int]) -> list[list[int]]:
        batches = self._turns(len(step)) * self.count
        ends = [len(step) * at // batches for at in range(batches + 1)]
        return [list(step[start:end]) for start, end in pairwise(ends)]

    def _turns(self, rows: int) -> int:
        return math.ceil(rows / (self.batch_size * self.count))
