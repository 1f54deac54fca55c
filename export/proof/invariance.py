"""Whether an answer depends on what else is in the batch, or on how far it is padded: it never may.

Every composition goes through the engine that serves, by its rules: where a variant is run row by row, here it is too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from export.proof.logit_difference import difference, largest_of
from export.proof.served_answers import ServedAnswers
from serving.inference.predictor import Predictor
from serving.tasks.base import Logits
from serving.tasks.generation import Generation

TOKENS_ALONE = 100_000
TOKENS_COMPOSED = 40_000
"""Padded tokens that are run alone, and in each further composition: some seconds of a small model each. Past them
items are a sample, spread evenly over all, and the counts say how many."""

PROMPTS = 32
ORDERS = 3
GROUP = 16
STRETCH = 2


@dataclass(frozen=True)
class Compositions:
    """Items answered again in other company, or padded further, against the same items run alone and unpadded.

    Attributes:
        how: the compositions that were tried.
        items: different items that were compared in at least one of them.
        comparisons: answers compared in all.
        changed: answers that were not the same.
        max_abs_logit_change: in the unit of `difference`.
    """

    how: list[str]
    items: int
    comparisons: int
    changed: int
    max_abs_logit_change: float


@dataclass(frozen=True)
class Invariance:
    """What neighbours change, and what padding does."""

    row_independent: bool
    neighbours: Compositions
    padding: Compositions


def measure_invariance(predictor: Predictor, served: ServedAnswers) -> Invariance:
    """Run items alone, then in mixed batches and padded further, and compare."""
    alone = _Alone(predictor, served)
    independent = predictor.manifest.graph.row_independent
    neighbours = [("as served, in batches of like length", alone.compare(alone.places, served.results))]
    for seed in range(ORDERS):
        groups = list(_mixed(alone, seed))
        results = {place: found for group in groups for place, found in alone.run(group, 0)}
        how = f"mixed with {GROUP - 1} others of any length, seed {seed}"
        neighbours.append((how, alone.compare(list(results), results)))
    return Invariance(independent, _summary(neighbours), _summary(list(_padded(alone, predictor))))


class _Alone:
    """Items and their answers when each is run alone and unpadded."""

    def __init__(self, predictor: Predictor, served: ServedAnswers) -> None:
        self.predictor, self.served = predictor, served
        self.generating = isinstance(predictor.task, Generation)
        self.places = self.sample(range(len(served.encoded)), TOKENS_ALONE, self.length)
        self._results = {place: found for at in self.places for place, found in self.run([at], 0)}

    def length(self, place: int) -> int:
        """Tokens of all windows of an item."""
        return sum(len(window.ids) for window in self.served.encoded[place].windows)

    def sample(self, places: Sequence[int], tokens: int, cost: Any) -> list[int]:
        """As many places as so many tokens pay for, spread evenly; of prompts to continue, a few."""
        total = sum(map(cost, places))
        share = min(1.0, tokens / max(total, 1))
        if self.generating:
            share = min(1.0, PROMPTS / max(len(places), 1))
        count = max(1, round(share * len(places)))
        return [places[at] for at in np.linspace(0, len(places) - 1, count).round().astype(int).tolist()]

    def run(self, group: Sequence[int], length: int) -> Iterator[tuple[int, list[Any]]]:
        """The results of a group of items whose windows share one batch, padded to ``length`` tokens at least."""
        encoded = [self.served.encoded[place] for place in group]
        flat = iter(self.predictor.run_batch([window for each in encoded for window in each.windows], length))
        for place, each in zip(group, encoded, strict=True):
            yield place, [next(flat) for _ in each.windows]

    def compare(self, places: Sequence[int], results: Any) -> dict[int, tuple[bool, float]]:
        """Whether each item's answer is the one it has alone, and its largest logit change."""
        return {place: self._compared(place, results[place]) for place in places}

    def _compared(self, place: int, found: list[Any]) -> tuple[bool, float]:
        encoded, task = self.served.encoded[place], self.predictor.task
        first, second = (task.decision(task.decode(encoded, each)) for each in (self._results[place], found))
        return first == second, difference(self._logits(place, found), self._logits(place, self._results[place]))[0]

    def _logits(self, place: int, results: list[Any]) -> list[Logits]:
        return self.predictor.logits(self.served.encoded[place].windows, results)


def _mixed(alone: _Alone, seed: int) -> Iterator[list[int]]:
    """Groups of items in random order: other neighbours for each seed, of whatever length."""
    places = list(alone.places)
    Random(seed).shuffle(places)
    tokens = 0
    for start in range(0, len(places), GROUP):
        group = places[start : start + GROUP]
        yield group
        tokens += len(group) * max(map(alone.length, group))
        if tokens > TOKENS_COMPOSED:
            return


def _padded(alone: _Alone, predictor: Predictor) -> Iterator[tuple[str, dict[int, tuple[bool, float]]]]:
    """Items alone in their batch, padded to twice their longest window, and to all that the bundle takes."""
    if alone.generating or not predictor.manifest.graph.row_independent:
        yield "none: nothing is padded where each row is run alone", {}
        return
    longest = predictor.manifest.tokenizer.max_length

    def stretched(place: int) -> int:
        return min(longest, STRETCH * max(len(window.ids) for window in alone.served.encoded[place].windows))

    def full(place: int) -> int:
        return longest

    for how, length in ((f"to {STRETCH} times their length", stretched), (f"to {longest} tokens", full)):
        places = alone.sample(alone.places, TOKENS_COMPOSED, length)
        results = {place: found for at in places for place, found in alone.run([at], length(at))}
        yield how, alone.compare(places, results)


def _summary(tried: Sequence[tuple[str, dict[int, tuple[bool, float]]]]) -> Compositions:
    found = [each for _, compared in tried for each in compared.values()]
    return Compositions(
        how=[how for how, _ in tried],
        items=len({place for _, compared in tried for place in compared}),
        comparisons=len(found),
        changed=sum(not same for same, _ in found),
        max_abs_logit_change=largest_of(change for _, change in found),
    )
