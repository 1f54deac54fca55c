"""The served side of a proof: serving's predictor on every item that the reference was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from export.proof.logit_difference import difference
from export.proof.reference_answers import ITEMS_AT_ONCE, ReferenceAnswers
from export.proof.tokenizer import same_tokens
from serving.inference.predictor import Predictor
from serving.tasks.base import Encoded


@dataclass(frozen=True)
class ServedAnswers:
    """What the served path makes of each item, beside the reference's side; lists have one element an item."""

    expected: ReferenceAnswers
    predictor: Predictor
    encoded: list[Encoded]
    results: list[list[Any]]

    @cached_property
    def answers(self) -> list[Any]:
        """The answer to each item."""
        pairs = zip(self.encoded, self.results, strict=True)
        return [self.predictor.task.decode(encoded, results) for encoded, results in pairs]

    @cached_property
    def row_answers(self) -> list[Any]:
        """The answer to each evaluation row."""
        return self.expected.by_row(self.answers)

    @cached_property
    def same_tokens(self) -> list[bool]:
        """Whether each item was cut into the reference's tokens."""
        pairs = zip(self.encoded, self.expected.encoded, strict=True)
        return [same_tokens(self.predictor.task, ours, theirs) for ours, theirs in pairs]

    @cached_property
    def same_answers(self) -> list[bool]:
        """Whether a caller would act on each answer as on the reference's."""
        decide = self.predictor.task.decision
        return [decide(a) == decide(b) for a, b in zip(self.answers, self.expected.answers, strict=True)]

    @cached_property
    def differences(self) -> list[tuple[float, float]]:
        """The largest and the mean absolute logit difference of each item."""
        return [difference(self._logits(place), self.expected.logits(place)) for place in range(len(self.encoded))]

    def _logits(self, place: int) -> list[Any]:
        return self.predictor.logits(self.encoded[place].windows, self.results[place])


def compute_served_answers(expected: ReferenceAnswers, predictor: Predictor) -> ServedAnswers:
    """Answer every item as a server would, in batches as it would make them."""
    found = list(_answered(predictor, expected.items))
    return ServedAnswers(expected, predictor, [encoded for encoded, _ in found], [results for _, results in found])


def _answered(predictor: Predictor, items: Sequence[Any]) -> Iterator[tuple[Encoded, list[Any]]]:
    for start in range(0, len(items), ITEMS_AT_ONCE):
        encoded = predictor.encode(items[start : start + ITEMS_AT_ONCE])
        flat = iter(predictor.run([window for each in encoded for window in each.windows]))
        yield from ((each, [next(flat) for _ in each.windows]) for each in encoded)
