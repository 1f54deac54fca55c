"""Seconds of one engine call, from measured ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

Point = tuple[float, float]


class BatchTime(NamedTuple):
    """A measured call: ``rows`` rows of ``tokens`` tokens each."""

    rows: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class ServiceTimes:
    """Linear between the measured calls and beyond them, first in rows, then in tokens."""

    measured: tuple[BatchTime, ...]

    def seconds(self, rows: int, tokens: int) -> float:
        """Of a call with ``rows`` rows, padded to ``tokens``."""
        return _seconds(self, rows, tokens)

    @cached_property
    def by_tokens(self) -> dict[int, list[Point]]:
        """Rows and seconds, by tokens; each in ascending order."""
        found: dict[int, list[Point]] = {}
        for rows, tokens, seconds in sorted(self.measured, key=lambda each: (each.tokens, each.rows)):
            found.setdefault(tokens, []).append((rows, seconds))
        return found


@lru_cache(maxsize=65_536)
def _seconds(times: ServiceTimes, rows: int, tokens: int) -> float:
    lengths = [(float(length), interpolate(points, rows)) for length, points in times.by_tokens.items()]
    return interpolate(lengths, tokens)


def interpolate(points: Sequence[Point], at: float) -> float:
    """On the line through the two nearest points. Beyond the last of one point it is proportional; never below 0."""
    if len(points) == 1:
        return points[0][1] * max(1.0, at / points[0][0])
    right = min(max(1, bisect_left([x for x, _ in points], at)), len(points) - 1)
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    return max(0.0, y0 + (y1 - y0) * (at - x0) / (x1 - x0))
