"""How fast a variant is beside fp32: both on one core, by turns, batched as they are served.

The time is the processor's, not the clock's, so that what else runs on the machine counts little.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.inference.predictor import Predictor

ITEMS, ITEMS_AT_A_TIME, ROUNDS = 256, 64, 7
ROUNDS_AT_LEAST, HOPELESS = 3, 0.9
"""What is this slow in each of the first rounds is not measured further."""


@dataclass(frozen=True)
class Pace:
    """Medians over the rounds: items a second, and how many times fp32's in the same round.

    Attributes:
        spread: the smallest and the largest of the rounds' ratios.
    """

    rate: float
    ratio: float
    spread: tuple[float, float]


def pace_of(candidate: Predictor, baseline: Predictor | None, items: Sequence[Any]) -> Pace:
    """Measure on the first ITEMS items; both were loaded for one thread. None: the candidate is the baseline."""
    some = items[:ITEMS]
    if baseline is None:
        times = [_seconds(candidate, some) for _ in range(1 + ROUNDS_AT_LEAST)][1:]
        return Pace(len(some) / statistics.median(times), 1.0, (1.0, 1.0))
    _seconds(candidate, some), _seconds(baseline, some)  # not counted: first calls fill caches
    rounds: list[tuple[float, float]] = []
    while len(rounds) < ROUNDS and not _hopeless(rounds):
        rounds.append((_seconds(candidate, some), _seconds(baseline, some)))
    ratios = [theirs / ours for ours, theirs in rounds]
    rate = statistics.median(len(some) / ours for ours, _ in rounds)
    return Pace(rate, statistics.median(ratios), (min(ratios), max(ratios)))


def _hopeless(rounds: Sequence[tuple[float, float]]) -> bool:
    return len(rounds) >= ROUNDS_AT_LEAST and all(theirs < HOPELESS * ours for ours, theirs in rounds)


def _seconds(predictor: Predictor, items: Sequence[Any]) -> float:
    windows = [each.windows for each in predictor.encode(items)]
    start = time.process_time()
    for first in range(0, len(windows), ITEMS_AT_A_TIME):
        predictor.run([window for some in windows[first : first + ITEMS_AT_A_TIME] for window in some])
    return time.process_time() - start
