"""A variant's speed relative to fp32, in alternating rounds of CPU time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.inference.predictor import Predictor

ITEMS, FEWEST, ROUND_SECONDS = 64, 4, 2.0
"""A round has ITEMS items; fewer, but FEWEST at least, if they take longer than ROUND_SECONDS."""

ROUNDS, OUTLIERS = 9, 1
"""Without as many rounds at either end, the range of all rounds is a 96 % interval of the median (order statistics of a
binomial: 1 - 2 * 10 / 2^9), whatever disturbs single rounds."""

BASELINE_ROUNDS = 3

CLEARLY_FASTER = 1.1
"""An approximate variant must be so many times as fast as fp32 at the lower end of the interval. A smaller graph alone
is no reason: fp32 stays in the bundle as its fallback."""


@dataclass(frozen=True)
class Pace:
    """Medians: items per second, and speed relative to fp32 with its interval."""

    rate: float
    ratio: float
    interval: tuple[float, float]

    @property
    def clearly_faster(self) -> bool:
        return self.interval[0] >= CLEARLY_FASTER


def measure_pace(candidate: Predictor, baseline: Predictor | None, items: Sequence[Any]) -> Pace:
    """Predictors have one thread; a baseline of None is the candidate itself. Ends when it cannot be clearly faster."""
    samples = _sample_rounds(candidate, items)
    _seconds(candidate, samples[0])  # not counted: first calls fill caches
    if baseline is None:
        rates = [len(sample) / _seconds(candidate, sample) for sample in samples[:BASELINE_ROUNDS]]
        return Pace(statistics.median(rates), 1.0, (1.0, 1.0))
    _seconds(baseline, samples[0])
    rates, ratios = list[float](), list[float]()
    for sample in samples:
        ours, theirs = _seconds(candidate, sample), _seconds(baseline, sample)
        rates.append(len(sample) / ours)
        ratios.append(theirs / ours)
        if sum(ratio < CLEARLY_FASTER for ratio in ratios) > OUTLIERS:
            break
    ordered = sorted(ratios)
    inner = ordered[OUTLIERS:-OUTLIERS] if len(ordered) == ROUNDS else ordered
    return Pace(statistics.median(rates), statistics.median(ratios), (inner[0], inner[-1]))


def _sample_rounds(predictor: Predictor, items: Sequence[Any]) -> list[Sequence[Any]]:
    """Each round's items, spread evenly over all."""
    first = items[:FEWEST]
    _seconds(predictor, first)
    each = _seconds(predictor, first) / len(first)
    size = max(FEWEST, min(ITEMS, int(ROUND_SECONDS / max(each, 1e-9))))
    step = max(1, len(items) // size)
    return [[items[(start + at * step) % len(items)] for at in range(min(size, len(items)))] for start in range(ROUNDS)]


def _seconds(predictor: Predictor, items: Sequence[Any]) -> float:
    start = time.process_time()
    predictor.run([window for each in predictor.encode(items) for window in each.windows])
    return time.process_time() - start
