"""Neither batch neighbours nor padding may change an answer, in batches of the serving engine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from export.proof.logit_difference import largest_of, logit_difference
from export.proof.served_answers import ServedAnswers, group_by_item
from serving.tasks.base import Logits
from serving.tasks.generation import Generation

TOKENS_ALONE = 100_000
TOKENS_COMPOSED = 40_000
"""Budgets in padded tokens: for items alone, and for each further composition. If the items cost more, an evenly spread
sample of them is compared."""

PROMPTS = 32
"""Prompts compared for a generating model."""

ORDERS = 3
GROUP = 16
STRETCH = 2

Comparisons = dict[int, tuple[bool, float]]
"""By item: whether its answer is the same as alone, and its largest logit change."""


@dataclass(frozen=True)
class Compositions:
    """Items in other batches or with more padding, compared with each alone.

    Attributes:
        how: the compositions.
        max_abs_logit_change: in `logit_difference`'s unit.
    """

    how: list[str]
    items: int
    comparisons: int
    changed: int
    max_abs_logit_change: float


@dataclass(frozen=True)
class Invariance:
    row_independent: bool
    neighbours: Compositions
    padding: Compositions


def measure_invariance(served: ServedAnswers) -> Invariance:
    """Run a sample of the items alone, in mixed batches and with more padding, and compare."""
    alone = _ItemsAlone(served)
    as_served = alone.compare({place: served.results[place] for place in alone.places})
    neighbours = {"as served, in batches of similar length": as_served}
    for seed in range(ORDERS):
        results = {place: result for group in _mixed_groups(alone, seed) for place, result in alone.run(group).items()}
        neighbours[f"mixed with {GROUP - 1} others of any length, seed {seed}"] = alone.compare(results)
    row_independent = served.predictor.manifest.graph.row_independent
    return Invariance(row_independent, _summarize(neighbours), _summarize(_compare_padded(alone)))


class _ItemsAlone:
    """A sample of the items, each run alone."""

    def __init__(self, served: ServedAnswers) -> None:
        self.predictor, self.served = served.predictor, served
        self.generating = isinstance(self.predictor.task, Generation)
        self.places = self.sample(range(len(served.encoded)), TOKENS_ALONE, self.tokens)
        results = {place: self.run([place])[place] for place in self.places}
        self._answers = {place: self._read(place, result) for place, result in results.items()}

    def _read(self, place: int, results: list[Any]) -> tuple[Hashable, list[Logits]]:
        """What a caller acts on, and the logits."""
        encoded, task = self.served.encoded[place], self.predictor.task
        return task.decision(task.decode(encoded, results)), self.predictor.logits(encoded.windows, results)

    def tokens(self, place: int) -> int:
        return sum(len(window.ids) for window in self.served.encoded[place].windows)

    def longest_window(self, place: int) -> int:
        return max(len(window.ids) for window in self.served.encoded[place].windows)

    def sample(self, places: Sequence[int], tokens: int, cost: Callable[[int], int]) -> list[int]:
        """Evenly spread, within a budget of tokens; for a generating model, PROMPTS items."""
        share = PROMPTS / max(len(places), 1) if self.generating else tokens / max(sum(map(cost, places)), 1)
        count = max(1, round(min(1.0, share) * len(places)))
        return [places[at] for at in np.linspace(0, len(places) - 1, count).round().astype(int).tolist()]

    def run(self, group: Sequence[int], length: int = 0) -> dict[int, list[Any]]:
        """Results by item, from one batch."""
        encoded = [self.served.encoded[place] for place in group]
        results = self.predictor.run_batch([window for each in encoded for window in each.windows], length)
        return dict(zip(group, group_by_item(encoded, results), strict=True))

    def compare(self, results: Mapping[int, list[Any]]) -> Comparisons:
        """Each item's results with those it has alone."""
        comparisons = {}
        for place, result in results.items():
            (alone, alone_logits), (decision, logits) = self._answers[place], self._read(place, result)
            comparisons[place] = decision == alone, logit_difference(logits, alone_logits)[0]
        return comparisons


def _mixed_groups(alone: _ItemsAlone, seed: int) -> Iterator[list[int]]:
    places = list(alone.places)
    Random(seed).shuffle(places)
    tokens = 0
    for start in range(0, len(places), GROUP):
        group = places[start : start + GROUP]
        yield group
        tokens += len(group) * max(map(alone.tokens, group))
        if tokens > TOKENS_COMPOSED:
            return


def _compare_padded(alone: _ItemsAlone) -> dict[str, Comparisons]:
    manifest = alone.predictor.manifest
    if alone.generating or not manifest.graph.row_independent:
        return {"none: rows that run alone are not padded": {}}
    longest = manifest.tokenizer.max_length
    stretched = {place: min(longest, STRETCH * alone.longest_window(place)) for place in alone.places}
    full = dict.fromkeys(stretched, longest)
    comparisons = {}
    for how, lengths in ((f"to {STRETCH} times their length", stretched), (f"to {longest} tokens", full)):
        places = alone.sample(alone.places, TOKENS_COMPOSED, lengths.__getitem__)
        comparisons[how] = alone.compare({place: alone.run([place], lengths[place])[place] for place in places})
    return comparisons


def _summarize(compositions: Mapping[str, Comparisons]) -> Compositions:
    every = [pair for comparisons in compositions.values() for pair in comparisons.values()]
    return Compositions(
        how=list(compositions),
        items=len({place for comparisons in compositions.values() for place in comparisons}),
        comparisons=len(every),
        changed=sum(not same for same, _ in every),
        max_abs_logit_change=largest_of(change for _, change in every),
    )
