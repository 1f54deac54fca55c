"""Populations of rows in which a served side loses a known amount of a metric.

Each is a short list of kinds of rows, so that its true metrics follow from the kinds' shares, and a test set is a draw
of a multinomial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from trainer.metrics.resampling import Floats, WeightedMetric, f1_of, indicators, mean_of, pearson_of, spearman_of


@dataclass(frozen=True)
class Population:
    """Both sides' answers to each kind of row, and the kinds' shares [kinds]."""

    metric: str
    reference: WeightedMetric
    served: WeightedMetric
    shares: Floats

    @property
    def drop(self) -> float:
        weights = self.shares[None]
        return float(self.reference(weights)[0] - self.served(weights)[0])


MakePopulation = Callable[[float], Population]
"""By the rate at which rows change for the worse, 0 to 1."""


def with_drop(make: MakePopulation, drop: float) -> Population:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if make(middle).drop < drop else (low, middle)
    return make(high)


def words(part: float, won: float) -> MakePopulation:
    """F1 of words: a right row loses ``part`` of its value; of the others a share is won back."""

    def make(rate: float) -> Population:
        kinds = [
            (1.0, 1.0, 0.8 * (1 - rate)),
            (1.0, 1.0 - part, 0.8 * rate),
            (1 - part, 1 - part, 0.2 * (1 - won)),
            (1 - part, 1.0, 0.2 * won),
        ]
        before, after, shares = map(np.array, zip(*kinds, strict=True))
        return Population("f1", mean_of(before), mean_of(after), shares)

    return make


def labels(count: int, rarest: float, only_rarest: bool, won: float) -> MakePopulation:
    """Macro-F1, 85 % right: rows of any label are lost, or only the rarest's."""
    names = [str(number) for number in range(count)]
    frequent = np.arange(count, 1, -1)
    shares = np.append((1 - rarest) * frequent / frequent.sum(), rarest)

    def make(rate: float) -> Population:
        kinds = []
        for at, (name, share) in enumerate(zip(names, shares, strict=True)):
            wrong = names[(at + 1) % count]
            lost = rate if not only_rarest or at == count - 1 else 0.0
            kinds += [
                (name, name, name, 0.85 * share * (1 - lost)),
                (name, name, wrong, 0.85 * share * lost),
                (name, wrong, wrong, 0.15 * share * (1 - won)),
                (name, wrong, name, 0.15 * share * won),
            ]
        expected, before, after, weights = zip(*kinds, strict=True)
        sides = [indicators([[name] for name in side], names) for side in (expected, before, after)]
        reference, served = (f1_of(sides[0] * side, side, sides[0], "macro") for side in sides[1:])
        return Population("macro_f1", reference, served, np.array(weights))

    return make


def entities(only_longest: bool, wholly: bool, won: float) -> MakePopulation:
    """Entity F1: a sentence of 0 to 8 entities loses one of them, or all."""
    lengths = {0: 0.35, 1: 0.3, 2: 0.2, 4: 0.1, 8: 0.05}

    def make(rate: float) -> Population:
        kinds: list[tuple[int, int, int, float]] = []  # expected, found before and after, share
        for length, share in lengths.items():
            lost = 0.0 if length == 0 or (only_longest and length < 8) else rate
            after = 0 if wholly else max(length - 1, 0)
            missed = max(length - 1, 0)
            kinds += [
                (length, length, length, 0.7 * share * (1 - lost)),
                (length, length, after, 0.7 * share * lost),
                (length, missed, missed, 0.3 * share * (1 - won)),
                (length, missed, length, 0.3 * share * won),
            ]
        expected, before, after_all, weights = (np.array(column, dtype=float) for column in zip(*kinds, strict=True))
        answered = expected[:, None]
        reference, served = (f1_of(side[:, None], answered, answered, "micro") for side in (before, after_all))
        return Population("f1", reference, served, weights)

    return make


def numbers(spearman: bool, change: str) -> MakePopulation:
    """Pearson or Spearman of nine targets and three errors.

    ``change``: ``little``, one step up or down; ``far``, to the other end of the scale; ``extreme``, the same, but only
    rows at an end; ``random``, an answer that has nothing to do with the row.
    """
    targets = np.linspace(-2, 2, 9)
    weights = np.exp(-(targets**2) / 2)
    errors = {-0.7: 0.25, 0.0: 0.5, 0.7: 0.25}
    rows = [
        (target, target + error, weight / weights.sum() * share)
        for target, weight in zip(targets, weights, strict=True)
        for error, share in errors.items()
    ]

    def outcomes(target: float, answer: float) -> Iterator[tuple[float, float]]:
        if change == "little":
            yield from ((answer - 0.35, 0.5), (answer + 0.35, 0.5))
        elif change == "random":
            yield from zip(np.linspace(-2.4, 2.4, 5), np.array([1, 4, 6, 4, 1]) / 16, strict=True)
        elif change == "far" or abs(target) == 2:
            yield (-2.7 if target > 0 else 2.7), 1.0
        else:
            yield answer, 1.0

    def make(rate: float) -> Population:
        kinds = [
            (target, answer, served, share * part)
            for target, answer, share in rows
            for served, part in [(answer, 1 - rate), *((each, rate * p) for each, p in outcomes(target, answer))]
        ]
        target, before, after, shares = (np.array(column) for column in zip(*kinds, strict=True))
        correlation = spearman_of if spearman else pearson_of
        name = "spearman" if spearman else "pearson"
        return Population(name, correlation(target, before), correlation(target, after), shares)

    return make


POPULATIONS: dict[str, MakePopulation] = {
    "word F1, rows lost wholly": words(1.0, 0.0),
    "word F1, rows lost by half, 2 % of the others won": words(0.5, 0.02),
    "macro-F1, rows of any label": labels(4, 0.1, only_rarest=False, won=0.0),
    "macro-F1, rows of any label, 5 % of the others won": labels(4, 0.1, only_rarest=False, won=0.05),
    "macro-F1, rows of the rarest of 4 labels (2 %)": labels(4, 0.02, only_rarest=True, won=0.0),
    "macro-F1, rows of the rarest of 28 labels (0.4 %)": labels(28, 0.004, only_rarest=True, won=0.0),
    "entity F1, whole sentences": entities(only_longest=False, wholly=True, won=0.0),
    "entity F1, the longest sentences wholly": entities(only_longest=True, wholly=True, won=0.0),
    "entity F1, one entity a sentence, 5 % of the others won": entities(only_longest=False, wholly=False, won=0.05),
    "Pearson, every answer a little": numbers(False, "little"),
    "Pearson, any answer": numbers(False, "random"),
    "Pearson, the far end of the scale": numbers(False, "far"),
    "Pearson, the same for extreme rows only": numbers(False, "extreme"),
    "Spearman, every answer a little": numbers(True, "little"),
    "Spearman, any answer": numbers(True, "random"),
    "Spearman, the far end of the scale": numbers(True, "far"),
    "Spearman, the same for extreme rows only": numbers(True, "extreme"),
}
"""The ways in which a metric can fall: many rows by little, few rows by much, and rows of one kind only."""
