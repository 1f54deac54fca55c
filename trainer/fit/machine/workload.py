"""How much a training computes: its batches by their length, passes and updates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.fit.machine.trial import Timing
from trainer.recipe.training import Training

PART_TOKENS = 256
"""Of a batch, with which a CPU's arithmetic units are busy."""


@dataclass(frozen=True)
class Workload:
    """``lengths`` are those of some batches; ``examples`` by the two ``probes``, a usual batch and a long one.

    ``passes`` says how often such batches are computed, an epoch of all rows or less; it, ``epochs`` and ``steps`` are
    those of all ``trainings``.
    """

    lengths: tuple[int, ...]
    examples: dict[int, list[int]]
    epochs: float
    steps: int
    passes: float
    trainings: int = 1

    @classmethod
    def of(cls, lengths: Sequence[int], order: Sequence[int], training: Training, rows: int) -> Workload:
        """Of so many ``rows``, for which examples with these ``lengths``, in this ``order``, stand."""
        size = training.per_device_train_batch_size
        batches = [list(order[start : start + size]) for start in range(0, len(order), size)]
        longest = [max(lengths[index] for index in batch) for batch in batches]
        ranks = np.argsort(longest, kind="stable")
        probes = [int(ranks[round(share * (len(ranks) - 1))]) for share in (0.5, 0.9)]
        steps_an_epoch = math.ceil(math.ceil(rows / size) / training.gradient_accumulation_steps)
        epochs = training.num_train_epochs or (training.max_steps or 0) / steps_an_epoch
        trainings = training.weight_soup_runs or 1
        return cls(
            lengths=tuple(longest),
            examples={longest[at]: batches[at] for at in probes},
            epochs=epochs * trainings,
            steps=round(steps_an_epoch * epochs) * trainings,
            passes=epochs * trainings * rows / len(order),
            trainings=trainings,
        )

    def part(self) -> tuple[dict[int, list[int]], float]:
        """The longest rows of the usual batch, and their share of its rows: enough to compare ways to compute."""
        usual = self.probes[0]
        rows = self.examples[usual]
        count = min(len(rows), -(-PART_TOKENS // usual))
        return {usual: rows[-count:]}, count / len(rows)

    @property
    def probes(self) -> list[int]:
        return list(self.examples)

    def step_seconds(self, timing: Timing) -> float:
        return self.training_seconds(timing) / self.steps

    def training_seconds(self, timing: Timing) -> float:
        """Without evaluations."""
        passes = sum(pass_seconds(timing, length) for length in self.lengths) * self.passes
        return passes + self.steps * timing.update


def pass_seconds(timing: Timing, length: int) -> float:
    """By the line through what was measured, and never less than half of the least."""
    known = sorted(timing.passes.items())
    (short, low), (long, high) = known[0], known[-1]
    slope = max(high - low, 0.0) / (long - short) if long > short else low / short
    return max(low + slope * (length - short), low / 2)
