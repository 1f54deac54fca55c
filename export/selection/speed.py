"""A variant's speed relative to fp32, in alternating rounds of CPU time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.inference.predictor import Predictor

ITEMS, ITEMS_AT_A_TIME, ROUNDS = 256, 64, 7
MIN_ROUNDS, CLEARLY_SLOWER = 3, 0.9
"""A variant whose ratio is below CLEARLY_SLOWER in each of the first MIN_ROUNDS rounds is not measured further."""


@dataclass(frozen=True)
class Pace:
    """Medians: items per second, and speed relative to fp32; ``spread`` has the extremes."""

    rate: float
    ratio: float
    spread: tuple[float, float]


def measure_pace(candidate: Predictor, baseline: Predictor | None, items: Sequence[Any]) -> Pace:
    """Predictors have one thread; a baseline of None is the candidate itself."""
    sample = items[:ITEMS]
    if baseline is None:
        times = [_seconds(candidate, sample) for _ in range(1 + MIN_ROUNDS)][1:]
        return Pace(len(sample) / statistics.median(times), 1.0, (1.0, 1.0))
    _seconds(candidate, sample), _seconds(baseline, sample)  # not counted: first calls fill caches
    rounds: list[tuple[float, float]] = []
    while len(rounds) < ROUNDS and not _is_clearly_slower(rounds):
        rounds.append((_seconds(candidate, sample), _seconds(baseline, sample)))
    ratios = [theirs / ours for ours, theirs in rounds]
    rate = statistics.median(len(sample) / ours for ours, _ in rounds)
    return Pace(rate, statistics.median(ratios), (min(ratios), max(ratios)))


def _is_clearly_slower(rounds: Sequence[tuple[float, float]]) -> bool:
    return len(rounds) >= MIN_ROUNDS and all(theirs < CLEARLY_SLOWER * ours for ours, theirs in rounds)


def _seconds(predictor: Predictor, items: Sequence[Any]) -> float:
    windows = [each.windows for each in predictor.encode(items)]
    start = time.process_time()
    for first in range(0, len(windows), ITEMS_AT_A_TIME):
        predictor.run([window for item in windows[first : first + ITEMS_AT_A_TIME] for window in item])
    return time.process_time() - start
