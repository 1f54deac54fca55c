"""The change of a metric from reference to served side, and the test that bounds its drop.

Both tests are one-sided, and hold at every number of rows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from export.proof.statistics.paired_shares import (
    PairedCounts,
    drop_limit,
    p_value,
    rows_without_loss,
    share_interval,
    share_limit,
)
from export.proof.statistics.weighted_rows import LostRows, limits_of
from trainer.metrics.resampling import Floats, Mean, WeightedMetric
from trainer.tasks.scoring import Scoring

Interval = tuple[float, float]

LEVEL = 0.025
"""Largest probability that a variant passes whose drop is the budget or more."""

UNLABELLED = ", within the exact limit of the share of changed answers on unlabelled rows, at half of the level each"


@dataclass(frozen=True)
class ChangedAnswers:
    """Answers to rows without labels.

    Attributes:
        source, sha256: of the file.
        rows: in it.
        compared: without repeated ones, and those among the test rows.
    """

    source: str
    sha256: str
    rows: int
    compared: int
    changed: int

    def share_limit(self, level: float) -> float:
        """The largest share of changed answers that is not rejected (Clopper and Pearson 1934, one-sided)."""
        return share_limit(self.changed, self.compared, level)


@dataclass(frozen=True)
class MetricChange:
    """The change of a metric, its test, and what the test says.

    Attributes:
        floor: the best score of a constant answer.
        test: its name.
        level: of the one-sided test, in all.
        low, high: the change's interval; each end is exceeded with a probability of ``level`` at most.
        served_interval: likewise of the served score.
        budget: the largest accepted drop, in the metric's unit.
        rows_needed: rows like these that would bring this change within the budget; None if it is, or cannot be.
        rows_needed_without_loss: the fewest rows that can pass, where no answer is lost; None if no number can.
        unlabelled_rows_needed: the fewest rows without labels that can pass, where no answer changes; None if such rows
            say nothing about this metric.
        unlabelled: what the rows without labels showed.
    """

    metric: str
    reference: float
    served: float
    floor: float
    change: float
    test: str
    level: float
    low: float
    high: float
    served_interval: Interval
    rows: int
    budget: float
    rows_needed: int | None
    rows_needed_without_loss: int | None
    unlabelled_rows_needed: int | None
    unlabelled: ChangedAnswers | None

    @property
    def above_floor(self) -> bool:
        """A score that a constant answer has too says nothing about a variant."""
        return self.reference > self.floor

    @property
    def within_budget(self) -> bool:
        """False for NaN."""
        return self.low > -self.budget

    @property
    def loses_too_much(self) -> bool:
        """No number of rows would help."""
        return self.high < -self.budget


class DropTest(ABC):
    """One of the two tests, for one pair of sides.

    ``changed_share`` is an upper limit of the share of changed answers, which bounds the loss of a mean over rows.
    """

    name: str
    changed_share: float

    @abstractmethod
    def intervals(self, level: float, budget: float) -> tuple[Interval, Interval]:
        """Of the change and of the served score; the change's low end is above ``-budget`` where the test passes."""

    @abstractmethod
    def passes(self, level: float, budget: float) -> bool: ...

    @abstractmethod
    def passes_with(self, factor: float, level: float, budget: float) -> bool:
        """Whether ``factor`` times as many rows with the same rates would pass."""

    @abstractmethod
    def rows_without_loss(self, level: float, budget: float) -> int | None:
        """The fewest rows that pass where no answer is lost."""


@dataclass(frozen=True)
class ExactPairedTest(DropTest):
    """Of a share of rows."""

    counts: PairedCounts
    served_right: int
    changed_share: float = 1.0
    name = "exact unconditional test of paired shares of rows"

    @classmethod
    def of(cls, reference: Mean, served: Mean, counts: Floats, changed_share: float) -> ExactPairedTest:
        before, after = reference.values > 0.5, served.values > 0.5
        lost, won, right = (int(counts[which].sum()) for which in (before & ~after, after & ~before, after))
        return cls(PairedCounts(int(counts.sum()), lost, won), right, changed_share)

    def intervals(self, level: float, budget: float) -> tuple[Interval, Interval]:
        low = -drop_limit(self.counts, level, budget, self.changed_share)
        high = drop_limit(self.counts.swap(), level, -self.counts.drop, self.changed_share)
        return (low, high), share_interval(self.served_right, self.counts.rows, 1 - 2 * level)

    def passes(self, level: float, budget: float) -> bool:
        return p_value(self.counts, budget, self.changed_share) <= level

    def passes_with(self, factor: float, level: float, budget: float) -> bool:
        return p_value(self.counts.scale(factor), budget, self.changed_share) <= level

    def rows_without_loss(self, level: float, budget: float) -> int | None:
        return rows_without_loss(budget, level)


@dataclass(frozen=True)
class LostRowTest(DropTest):
    """Of any metric that is a function of weighted rows."""

    reference: WeightedMetric
    served: WeightedMetric
    counts: Floats
    changed_share: float = 1.0
    name = "Dirichlet weights of the rows and one further, lost row"

    @cached_property
    def _lost(self) -> LostRows:
        return LostRows.of(self.reference, self.served, self.counts)

    def intervals(self, level: float, budget: float) -> tuple[Interval, Interval]:
        before, lost = self._lost.sample_scores(level)
        won, after = LostRows.of(self.served, self.reference, self.counts).sample_scores(level)
        low, high = limits_of(lost - before, level)[0], limits_of(won - after, level)[1]
        change = max(low, -self.changed_share), min(high, self.changed_share)
        return change, (limits_of(lost, level)[0], limits_of(won, level)[1])

    def passes(self, level: float, budget: float) -> bool:
        before, lost = self._lost.sample_scores(level)
        return max(limits_of(lost - before, level)[0], -self.changed_share) > -budget

    def passes_with(self, factor: float, level: float, budget: float) -> bool:
        before, lost = self._lost.sample_scores(level, factor, beyond=10)
        return limits_of(lost - before, level)[0] > -budget

    def rows_without_loss(self, level: float, budget: float) -> int | None:
        unchanged = LostRows.of(self.reference, self.reference, self.counts)
        share = unchanged.share_that_costs(budget)
        return math.ceil(math.log(level) / math.log1p(-share)) if 0 < share < 1 else None


def measure_change(
    metric: str,
    scores: tuple[float, float],
    sides: tuple[WeightedMetric, WeightedMetric],
    budget: float,
    level: float = LEVEL,
    floor: float = 0.0,
    unlabelled: ChangedAnswers | None = None,
) -> MetricChange:
    """Test whether the drop of a metric is below a budget.

    Args:
        scores: on all rows, of reference and served side.
        sides: the same as functions of the rows' weights.
        budget: largest accepted drop, in the metric's unit.
        level: of the one-sided test; of several variants that are tried, each gets its part.
        floor: the best score of a constant answer.
        unlabelled: of a metric that is a mean over rows; it takes half of the level.
    """
    counts = np.ones(sides[0].rows)
    share = level / 2 if unlabelled else level
    test = create_test(metric, *sides, counts, unlabelled.share_limit(level / 2) if unlabelled else 1.0)
    (low, high), served_interval = test.intervals(share, budget)
    change, passed = scores[1] - scores[0], low > -budget
    return MetricChange(
        metric=metric,
        reference=scores[0],
        served=scores[1],
        floor=floor,
        change=change,
        test=f"{test.name}{UNLABELLED if unlabelled else ''}",
        level=level,
        low=low,
        high=high,
        served_interval=served_interval,
        rows=len(counts),
        budget=budget,
        rows_needed=None if passed or change <= -budget else _rows_needed(test, len(counts), share, budget),
        rows_needed_without_loss=test.rows_without_loss(share, budget),
        unlabelled_rows_needed=rows_without_loss(budget, level / 2) if isinstance(sides[0], Mean) else None,
        unlabelled=unlabelled,
    )


def unmeasured_change(metric: str, reference: float, rows: int, budget: float, level: float = LEVEL) -> MetricChange:
    """Of answers that cannot be scored."""
    nan = math.nan
    none = "none: the served answers cannot be scored"
    return MetricChange(
        metric, reference, nan, nan, nan, none, level, nan, nan, (nan, nan), rows, budget, None, None, None, None
    )


def create_test(
    metric: str, reference: WeightedMetric, served: WeightedMetric, counts: Floats, changed_share: float = 1.0
) -> DropTest:
    """``counts`` [rows] says how often each row occurs."""
    if metric in Scoring.shares:
        assert isinstance(reference, Mean)
        assert isinstance(served, Mean)
        return ExactPairedTest.of(reference, served, counts, changed_share)
    return LostRowTest(reference, served, counts, changed_share)


MOST_TIMES_THE_ROWS = 4096


def _rows_needed(test: DropTest, rows: int, level: float, budget: float) -> int | None:
    """About so many, to within 3 %, as the number of passing rows has gaps."""
    few, many = 1.0, 2.0
    while not test.passes_with(many, level, budget):
        few, many = many, 2 * many
        if many > MOST_TIMES_THE_ROWS:
            return None
    while many / few > 1.03:
        middle = math.sqrt(few * many)
        few, many = (few, middle) if test.passes_with(middle, level, budget) else (middle, many)
    return math.ceil(many * rows)
