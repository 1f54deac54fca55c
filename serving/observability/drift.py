"""Drift between recent traffic and the bundle's evaluation set, in answered labels and input lengths.

Population stability index (Siddiqi, "Credit Risk Scorecards", 2006; above 0.25 the change is large):

    PSI = Σ (a_i - e_i) · ln(a_i / e_i)

e_i is bin i's share in the reference, a_i in recent traffic; half a count is added to each bin, so that none is empty.
Without drift it follows (1/N + 1/M) · χ² with B - 1 degrees of freedom, for B bins and N and M counts (Yurdakul,
"Statistical Properties of Population Stability Index", 2018).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from serving.bundle.manifest import Reference

DISTRIBUTIONS = ("label", "length")

NO_LABEL = ""
"""The bin of inputs without an answered label."""

BLOCKS, BLOCK_INPUTS = 10, 500
"""The window: the last 10 blocks of up to 500 inputs each."""

MIN_INPUTS = 200
"""Inputs that a window needs before its index is published."""

LENGTH_BINS = 10

Z_99 = 2.3263478740408408  # of the standard normal distribution


class Psi(NamedTuple):
    """The index, and its 99th percentile without drift."""

    value: float
    chance: float


def reference_of(lengths: Sequence[int], outcomes: Iterable[Sequence[str]]) -> Reference:
    """Of inputs' lengths in tokens, binned at their deciles, and the labels answered to each."""
    ordered = sorted(lengths)
    deciles = (ordered[len(ordered) * tenth // LENGTH_BINS] for tenth in range(1, LENGTH_BINS))
    bounds = [bound for bound in sorted(set(deciles)) if bound < ordered[-1]]
    counts = [0] * (len(bounds) + 1)
    for length in lengths:
        counts[bisect_left(bounds, length)] += 1
    answered: Counter[str] = Counter()
    for labels in outcomes:
        answered.update(labels or (NO_LABEL,))
    return Reference(outcomes=dict(answered), length_bounds=bounds, lengths=counts)


class Drift:
    """A window of recent inputs against a reference."""

    def __init__(self, reference: Reference, labels: Sequence[str] = ()) -> None:
        """``labels`` are bins too where the reference lacks them."""
        self._reference = reference
        # A task without labels counts in NO_LABEL alone: there is no distribution to compare.
        self._outcomes = (
            {**dict.fromkeys(labels, 0), **reference.outcomes} if set(reference.outcomes) - {NO_LABEL} else {}
        )
        self._bounds = reference.length_bounds
        self._blocks: deque[_Block] = deque([_Block(len(reference.lengths))], maxlen=BLOCKS)

    @property
    def inputs(self) -> int:
        """In the window."""
        return sum(block.inputs for block in self._blocks)

    def count(self, length: int, labels: Sequence[str]) -> None:
        """Count an input of ``length`` tokens."""
        block = self._blocks[-1]
        if block.inputs == BLOCK_INPUTS:
            block = _Block(len(block.lengths))
            self._blocks.append(block)
        block.inputs += 1
        block.lengths[bisect_left(self._bounds, length)] += 1
        for label in labels or (NO_LABEL,):
            block.labels[label] = block.labels.get(label, 0) + 1

    def indices(self) -> dict[str, Psi]:
        """For ``label`` and ``length``; empty below MIN_INPUTS."""
        if self.inputs < MIN_INPUTS:
            return {}
        indices = {}
        if len(self._outcomes) > 1:
            recent: Counter[str] = Counter()
            for block in self._blocks:
                recent.update(block.labels)
            bins = list({**self._outcomes, **recent})
            indices["label"] = psi([self._outcomes.get(each, 0) for each in bins], [recent[each] for each in bins])
        if len(self._reference.lengths) > 1:
            columns = zip(*(block.lengths for block in self._blocks), strict=True)
            indices["length"] = psi(self._reference.lengths, [sum(column) for column in columns])
        return indices


class _Block:
    __slots__ = ("inputs", "labels", "lengths")

    def __init__(self, length_bins: int) -> None:
        self.inputs = 0
        self.lengths = [0] * length_bins
        self.labels: dict[str, int] = {}


def psi(reference: Sequence[int], recent: Sequence[int]) -> Psi:
    """Of counts in the same bins, at least two."""
    expected, actual = _shares(reference), _shares(recent)
    value = sum((a - e) * math.log(a / e) for a, e in zip(actual, expected, strict=True))
    noise = 1 / max(1, sum(reference)) + 1 / max(1, sum(recent))
    return Psi(value, noise * _chi_square_99(len(reference) - 1))


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + len(counts) / 2
    return [(count + 0.5) / total for count in counts]


def _chi_square_99(freedom: int) -> float:
    """Wilson and Hilferty 1931, to about 0.01."""
    variance = 2 / (9 * freedom)
    return float(freedom * (1 - variance + Z_99 * math.sqrt(variance)) ** 3)
