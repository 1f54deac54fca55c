"""Counters, gauges and histograms whose every count is an addition, collected as Prometheus' client does its own.

The client's own take a lock for each count, for threads that we do not have: all counting happens on the event loop.
An input is counted about ten times on its way, which they make several times as dear (`python -m bench.observing`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Count:
    """One series of a counter."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, amount: int = 1) -> None:
        """Count so many more."""
        self.value += amount


class Level:
    """One series of a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        """What it is now."""
        self.value = value


class Distribution:
    """One labelled histogram: how many values fell up to each bound, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """Each bound and how many values are at most that, as the exposition format has it."""
        below, buckets = 0, []
        for bound, count in zip((*self.bounds, inf), self.counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound == inf else str(float(bound)), float(below)))
        return buckets


class _Family(Collector):
    """A metric: a child for each combination of its labels' values."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        self._described = (name, meaning)
        self._labels = labels


class Counter(_Family):
    """Counts by labels; its name in the exposition ends in ``_total``."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        super().__init__(name, meaning, labels)
        self._children: defaultdict[tuple[str, ...], Count] = defaultdict(Count)

    def labels(self, *values: object) -> Count:
        """The series of these values, to be kept; made when it is first asked for."""
        return self._children[tuple(map(str, values))]

    def collect(self) -> Iterator[Metric]:
        """As Prometheus' client asks for it."""
        family = CounterMetricFamily(*self._described, labels=self._labels)
        for values, child in self._children.items():
            family.add_metric(values, child.value)
        yield family


class Gauge(_Family):
    """Levels by labels."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        super().__init__(name, meaning, labels)
        self._children: defaultdict[tuple[str, ...], Level] = defaultdict(Level)

    def labels(self, *values: object) -> Level:
        """The series of these values; made when it is first asked for."""
        return self._children[tuple(map(str, values))]

    def remove(self, *values: object) -> None:
        """Forget a series, if there is one."""
        self._children.pop(tuple(map(str, values)), None)

    def collect(self) -> Iterator[Metric]:
        """As Prometheus' client asks for it."""
        family = GaugeMetricFamily(*self._described, labels=self._labels)
        for values, child in self._children.items():
            family.add_metric(values, child.value)
        yield family


class Histogram(_Family):
    """Distributions by labels."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, meaning, labels)
        self._children: defaultdict[tuple[str, ...], Distribution] = defaultdict(lambda: Distribution(bounds))

    def labels(self, *values: object) -> Distribution:
        """The distribution of these values, to be kept; made when it is first asked for."""
        return self._children[tuple(map(str, values))]

    def collect(self) -> Iterator[Metric]:
        """As Prometheus' client asks for it."""
        family = HistogramMetricFamily(*self._described, labels=self._labels)
        for values, child in self._children.items():
            family.add_metric(values, child.buckets, child.sum)
        yield family
