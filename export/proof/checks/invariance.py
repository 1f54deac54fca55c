"""Neither batch neighbours nor padding may change an answer, in batches of the serving engine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from scipy.stats import binomtest  # type: ignore[import-untyped, unused-ignore]

from export.proof.answers.logit_difference import largest_of, logit_difference
from export.proof.answers.served_answers import ServedAnswers, group_by_item
from export.proof.answers.threads import map_in_threads
from serving.observability.progress import track
from serving.tasks.base import Logits
from serving.tasks.generation import Generation

TOKENS_ALONE = 20_000
TOKENS_COMPOSED = 10_000
"""Budgets in padded tokens: for items alone, and for each further composition. If the items cost more, a sample of them
is compared that has every length: it is spread evenly over the items in the order of their lengths, and a fault of
batching or padding shows by the logits of nearly every item of a length."""

PROMPTS = 32
"""Prompts compared for a generating model."""

RERUN = 64
"""Items compared where rows run alone in any batch, so that every composition repeats the same calls."""

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
        changed: comparisons with another answer.
        changed_share_95: exact 95 % interval of the share of items whose answer some composition changes (Clopper and
            Pearson 1934); None if nothing was compared.
        max_abs_logit_change: in `logit_difference`'s unit.
    """

    how: list[str]
    items: int
    comparisons: int
    changed: int
    changed_share_95: tuple[float, float] | None
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
        how = f"mixed with {GROUP - 1} others of any length, seed {seed}"
        neighbours[how] = alone.compare(alone.run_all(how, _mixed_groups(alone, seed)))
    row_independent = served.predictor.manifest.graph.row_independent
    return Invariance(row_independent, _summarize(neighbours), _summarize(_compare_padded(alone)))


class _ItemsAlone:
    """A sample of the items, each run alone."""

    def __init__(self, served: ServedAnswers) -> None:
        self.predictor, self.served = served.predictor, served
        self.generating = isinstance(self.predictor.task, Generation)
        self._tokens = [each.tokens for each in served.encoded]
        by_length = sorted(range(len(self._tokens)), key=self._tokens.__getitem__)
        self.places = self.sample(by_length, TOKENS_ALONE, self.tokens)
        results = self.run_all("alone", [[place] for place in self.places])
        self._answers = {place: self._read(place, result) for place, result in results.items()}

    def _read(self, place: int, results: list[Any]) -> tuple[Hashable, list[Logits]]:
        """What a caller acts on, and the logits."""
        encoded, task = self.served.encoded[place], self.predictor.task
        return task.decision(task.answer(encoded, results)), self.predictor.logits(encoded.windows, results)

    def tokens(self, place: int) -> int:
        return self._tokens[place]

    def longest_window(self, place: int) -> int:
        return max(len(window.ids) for window in self.served.encoded[place].windows)

    def sample(self, places: Sequence[int], tokens: int, cost: Callable[[int], int]) -> list[int]:
        """Evenly spread, within a budget of tokens; of a generating model, PROMPTS items."""
        share = PROMPTS / max(len(places), 1) if self.generating else tokens / max(sum(map(cost, places)), 1)
        count = max(1, round(min(1.0, share) * len(places)))
        if not self.predictor.manifest.graph.row_independent:
            count = min(count, RERUN)
        return [places[at] for at in np.linspace(0, len(places) - 1, count).round().astype(int).tolist()]

    def run_all(
        self, how: str, groups: Sequence[Sequence[int]], lengths: Mapping[int, int] | None = None
    ) -> dict[int, list[Any]]:
        """Results by item, from a batch for each group; ``lengths`` are those that lone items are padded to."""
        batches = map_in_threads(
            lambda group: self.run(group, lengths[group[0]] if lengths else 0), groups, self.served.workers
        )
        return {place: result for batch in track(how, batches, len(groups)) for place, result in batch.items()}

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


def _mixed_groups(alone: _ItemsAlone, seed: int) -> list[list[int]]:
    places, groups, tokens = list(alone.places), list[list[int]](), 0
    Random(seed).shuffle(places)
    for start in range(0, len(places), GROUP):
        groups.append(places[start : start + GROUP])
        tokens += len(groups[-1]) * max(map(alone.tokens, groups[-1]))
        if tokens > TOKENS_COMPOSED:
            break
    return groups


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
        comparisons[how] = alone.compare(alone.run_all(how, [[place] for place in places], lengths))
    return comparisons


def _summarize(compositions: Mapping[str, Comparisons]) -> Compositions:
    every = [(place, *pair) for comparisons in compositions.values() for place, pair in comparisons.items()]
    items, changed = {place for place, _, _ in every}, [place for place, same, _ in every if not same]
    interval = binomtest(len(set(changed)), len(items)).proportion_ci(0.95, method="exact") if items else None
    return Compositions(
        how=list(compositions),
        items=len(items),
        comparisons=len(every),
        changed=len(changed),
        changed_share_95=(float(interval.low), float(interval.high)) if interval else None,
        max_abs_logit_change=largest_of(change for _, _, change in every),
    )
