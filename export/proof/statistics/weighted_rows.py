"""A bound of the drop of any metric of weighted rows, from Dirichlet weights of the rows and one further, lost row.

For the mean of bounded values this is Gaffke's bound (Gaffke 2005; Learned-Miller and Thomas 2019, arXiv:1905.06208),
which for zeros and ones is Clopper's and Pearson's. Without the further row it is the Bayesian bootstrap (Rubin 1981,
The Annals of Statistics 9, 130-134), whose interval is a point where no answer changes. That it holds for means is a
conjecture of these authors, and for other metrics it rests on their linearity in small weights: ``python -m
bench.proof_gate`` simulates both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trainer.metrics.resampling import Floats, WeightedMetric

TAIL_RESAMPLES = 50
"""Resamples beyond a limit: with the level they give the number of all."""

SEED = 0
WEIGHTS_AT_ONCE = 2_000_000
"""Bounds the memory: rows times resamples that are drawn together."""


@dataclass(frozen=True)
class LostRows:
    """Both sides as functions of weights [resamples, rows + 1]; the last row is the further one.

    ``counts`` [rows] says how often each of the other rows occurs.
    """

    reference: WeightedMetric
    served: WeightedMetric
    counts: Floats

    @classmethod
    def of(cls, reference: WeightedMetric, served: WeightedMetric, counts: Floats) -> LostRows:
        return cls(*reference.with_lost_row(served, counts), counts)

    def sample_scores(self, level: float, factor: float = 1.0, beyond: int = TAIL_RESAMPLES) -> tuple[Floats, Floats]:
        """Of each side [resamples], for ``factor`` times as many rows of the same kind."""
        weights = self._weights(math.ceil(beyond / level), factor)
        before, after = zip(*((self.reference(each), self.served(each)) for each in weights), strict=True)
        return np.concatenate(before), np.concatenate(after)

    def share_that_costs(self, budget: float) -> float:
        """The share of rows like the further one with which the drop is the budget; 1 if none costs so much."""
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.drop_at(middle) < budget else (low, middle)
        return high

    def drop_at(self, share: float) -> float:
        """With this share of rows like the further one."""
        weights = np.append((1 - share) * self.counts / self.counts.sum(), share)[None]
        return float(self.reference(weights)[0] - self.served(weights)[0])

    def _weights(self, resamples: int, factor: float) -> Iterator[Floats]:
        """Blocks of Dirichlet weights, times their sum."""
        generator, shape = np.random.default_rng(SEED), factor * self.counts
        at_once = max(1, min(resamples, WEIGHTS_AT_ONCE // len(shape)))
        for start in range(0, resamples, at_once):
            number = min(at_once, resamples - start)
            further = generator.standard_exponential((number, 1))
            yield np.hstack([generator.standard_gamma(shape, (number, len(shape))), further])


def limits_of(values: Floats, level: float) -> tuple[float, float]:
    """Order statistics, so that the chance of the resampling adds nothing to the level."""
    beyond = math.floor(level * (len(values) + 1))
    ordered = np.sort(values)
    return float(ordered[beyond - 1]), float(ordered[-beyond])
