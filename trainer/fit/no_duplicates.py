"""Batches in which no text comes twice, for losses that take the other texts of a batch as wrong answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence

import torch

from trainer.fit.batches import BatchOrder, LengthBucketSampler
from trainer.fit.validation import TrainingExamples
from trainer.tasks.objective import Objective

LOOK_BACK = 20
"""Batches' worth of the examples that were put off, which a batch looks at; all of them would take quadratic time."""


class NoDuplicatesSampler(BatchOrder):
    """Batches are of examples that share no key.

    An example that shares one with its batch is put off to a later one. Those of which no whole batch can be made come
    last, as they are.
    """

    def __init__(self, keys: Sequence[Collection[int]], batch_size: int, seed: int) -> None:
        super().__init__(len(keys), batch_size, seed)
        self.keys = keys

    def __iter__(self) -> Iterator[int]:
        fresh, waiting = deque(torch.randperm(len(self), generator=self.generator()).tolist()), deque[int]()
        while fresh or waiting:
            batch = self._fill(fresh, waiting)
            yield from batch
            if len(batch) < self.batch_size:
                yield from waiting
                return

    def _fill(self, fresh: deque[int], waiting: deque[int]) -> list[int]:
        """What was put off is looked at first; what does not fit is put off, behind the others."""
        batch, seen = list[int](), set[int]()
        looks = min(len(waiting), LOOK_BACK * self.batch_size)
        while len(batch) < self.batch_size and (looks or fresh):
            index = waiting.popleft() if looks else fresh.popleft()
            looks = max(looks - 1, 0)
            if seen.isdisjoint(self.keys[index]):
                batch.append(index)
                seen.update(self.keys[index])
            else:
                waiting.append(index)
        return batch


def create_sampler(objective: Objective, examples: TrainingExamples, batch_size: int, seed: int) -> BatchOrder:
    """By text where the objective compares a batch's texts, else by length."""
    if objective.text_ids(examples[0]):
        keys = [objective.text_ids(examples[at]) for at in range(len(examples))]
        return NoDuplicatesSampler(keys, batch_size, seed)
    return LengthBucketSampler(examples.lengths(), batch_size, seed)
