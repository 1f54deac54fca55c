"""Resampled rows, and the intervals that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.metrics.resampling import WeightedMetric

Floats = NDArray[np.float64]

RESAMPLES, SEED = 1000, 0
WEIGHTS_AT_ONCE = 2_000_000
"""Rows times resamples that are drawn together."""


def resample(rows: int) -> Iterator[Floats]:
    """Blocks of weights [resamples, rows], the same in every call."""
    generator, at_once = np.random.default_rng(SEED), max(1, WEIGHTS_AT_ONCE // rows)
    for start in range(0, RESAMPLES, at_once):
        draws = generator.integers(0, rows, (min(at_once, RESAMPLES - start), rows))
        yield np.stack([np.bincount(draw, minlength=rows) for draw in draws]).astype(np.float64)


def resampled_values(metrics: Sequence[WeightedMetric]) -> Floats:
    """[metrics, resamples], each of the same resampled rows, so that differences are paired."""
    rows = metrics[0].rows
    return np.concatenate([np.stack([metric(weights) for metric in metrics]) for weights in resample(rows)], axis=1)


def value_of(metric: WeightedMetric) -> float:
    """On the rows as they are."""
    return float(metric(np.ones((1, metric.rows)))[0])


def percentile_interval(values: Floats) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def paired_interval(metric: WeightedMetric, other: WeightedMetric) -> tuple[float, float]:
    """The 95 % interval of ``metric`` minus ``other`` on the same rows."""
    values = resampled_values([metric, other])
    return percentile_interval(values[0] - values[1])
