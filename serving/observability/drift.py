"""Drift: do the inputs and answers of late still look like those of the evaluation the bundle was proven on?

Compared are two distributions, of the labels answered and of the inputs' lengths, by the population stability index

    PSI = Σ (a_i - e_i) · ln(a_i / e_i)

with e_i the share of bin i in the reference and a_i its share of late (Siddiqi, "Credit Risk Scorecards", 2006, where
under 0.1 is read as no change and above 0.25 as a large one). Half a count is added to each bin on both sides, so that
an empty bin has a logarithm. Without any drift it is not 0 but follows (1/N + 1/M) · χ² with B - 1 degrees of freedom,
for B bins, M counts in the reference and N of late (Yurdakul, "Statistical Properties of Population Stability Index",
2018): `chance` is what only one draw in a hundred passes then.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from serving.bundle.manifest import Reference

DISTRIBUTIONS = ("label", "length")

NOTHING = ""
"""The bin of inputs that no label was answered to."""

BLOCKS, BLOCK = 10, 500
"""The window: the last 10 blocks of 500 inputs, of which the newest is being filled."""

FEWEST = 200
"""Inputs that must be seen before a figure is published."""

LENGTH_BINS = 10

Z_99 = 2.3263478740408408
"""The standard normal distribution's 99th percentile."""


class Psi(NamedTuple):
    """A value, and what it would be by chance in one of a hundred windows without drift."""

    value: float
    chance: float


def reference_of(lengths: Sequence[int], outcomes: Iterable[Sequence[str]]) -> Reference:
    """The reference that inputs of these lengths in tokens, and the labels answered to each, make.

    Bins of lengths are the deciles of what is there, so that each holds about the same; fewer where lengths repeat.
    """
    ordered = sorted(lengths)
    deciles = (ordered[len(ordered) * tenth // LENGTH_BINS] for tenth in range(1, LENGTH_BINS))
    bounds = [bound for bound in sorted(set(deciles)) if bound < ordered[-1]]
    counts = [0] * (len(bounds) + 1)
    for length in lengths:
        counts[bisect_left(bounds, length)] += 1
    answered: Counter[str] = Counter()
    for labels in outcomes:
        answered.update(labels or (NOTHING,))
    return Reference(outcomes=dict(answered), length_bounds=bounds, lengths=counts)


class Drift:
    """Counts of late, against a reference. Counting an input costs well under a microsecond."""

    def __init__(self, reference: Reference, labels: Sequence[str] = ()) -> None:
        """Begin with an empty window.

        Args:
            reference: what was seen when the bundle was proven.
            labels: that may be answered too, though the reference holds none of them.
        """
        self._reference = reference
        # A task that tells of no labels has only the bin of nothing: there is no distribution to compare.
        self._outcomes = (
            {**dict.fromkeys(labels, 0), **reference.outcomes} if set(reference.outcomes) - {NOTHING} else {}
        )
        self._bounds = reference.length_bounds
        self._blocks: deque[_Block] = deque([_Block(len(reference.lengths))], maxlen=BLOCKS)

    @property
    def inputs(self) -> int:
        """Inputs in the window."""
        return sum(block.inputs for block in self._blocks)

    def saw(self, length: int, outcomes: Sequence[str]) -> None:
        """Count an input of so many tokens and the labels answered to it."""
        block = self._blocks[-1]
        if block.inputs == BLOCK:
            block = _Block(len(block.lengths))
            self._blocks.append(block)
        block.inputs += 1
        block.lengths[bisect_left(self._bounds, length)] += 1
        for outcome in outcomes or (NOTHING,):
            block.outcomes[outcome] = block.outcomes.get(outcome, 0) + 1

    def indices(self) -> dict[str, Psi]:
        """The index of each distribution, ``label`` and ``length``, once enough inputs are in the window."""
        if self.inputs < FEWEST:
            return {}
        found = {}
        if len(self._outcomes) > 1:
            late: Counter[str] = Counter()
            for block in self._blocks:
                late.update(block.outcomes)
            bins = list({**self._outcomes, **late})
            found["label"] = psi([self._outcomes.get(each, 0) for each in bins], [late[each] for each in bins])
        if len(self._reference.lengths) > 1:
            columns = zip(*(block.lengths for block in self._blocks), strict=True)
            found["length"] = psi(self._reference.lengths, [sum(column) for column in columns])
        return found


class _Block:
    """Part of the window."""

    __slots__ = ("inputs", "lengths", "outcomes")

    def __init__(self, length_bins: int) -> None:
        self.inputs = 0
        self.lengths = [0] * length_bins
        self.outcomes: dict[str, int] = {}


def psi(reference: Sequence[int], late: Sequence[int]) -> Psi:
    """The index of two columns of counts over the same bins, two at least."""
    expected, actual = _shares(reference), _shares(late)
    value = sum((a - e) * math.log(a / e) for a, e in zip(actual, expected, strict=True))
    noise = 1 / max(1, sum(reference)) + 1 / max(1, sum(late))
    return Psi(value, noise * _chi_square_99(len(reference) - 1))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + len(counts) / 2
    return [(count + 0.5) / total for count in counts]


def _chi_square_99(freedom: int) -> float:
    """The 99th percentile, to about a hundredth (Wilson and Hilferty 1931)."""
    part = 2 / (9 * freedom)
    return float(freedom * (1 - part + Z_99 * math.sqrt(part)) ** 3)
