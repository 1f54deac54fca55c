"""Rows that are equal or nearly equal to another: across splits, within one, and with another label.

Letters decide (`trainer.data.near_duplicates`), and, of texts that the base model reads as a whole, the cosine of
sentence vectors, which also finds other words in another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checks.finding import Example, Finding, Row
from checks.subject import Subject
from serving.observability.progress import begin_step, track
from trainer.data.near_duplicates import SIMILARITY, NearDuplicates, sketch

COSINE = 0.99
_AT_ONCE = 1024
_EQUAL = "equal but for case and punctuation"
_HOW = f"{_EQUAL}, {SIMILARITY:.0%} of the characters"


@dataclass(frozen=True)
class Pair:
    """A row, and an earlier one that it is nearly equal to; ``score`` is 1.0 for equal letters and digits."""

    row: Row
    other: Row
    score: float
    how: str

    @property
    def across(self) -> bool:
        return self.row.split != self.other.split

    def to_example(self) -> Example:
        left, right = self.row.target, self.other.target
        labels = f", {left!r} and {right!r}" if left != right and isinstance(left, (str, float)) else ""
        return Example(f"{self.how}{labels}", (self.row, self.other))


def find_duplicates(subject: Subject) -> Iterator[Finding]:
    """Leaks, duplicates, and both kinds of contradictions."""
    begin_step("comparing texts…")
    pairs = [*_unique([*_by_letters(subject), *_by_vectors(subject)])]
    every, held_out = len(subject.rows), len(subject.rows) - len(subject.setup.splits.train)
    near = _HOW + (f", or cosine {COSINE}" if subject.has_vectors else "") + _told(subject)
    leaks = [pair for pair in pairs if pair.across]
    yield _finding("leaks", "held-out rows seen in training or validation", held_out, near, leaks)
    within = [pair for pair in pairs if not pair.across]
    yield _finding("duplicates", "rows like an earlier one of their split", every, near, within)
    contradictions = [pair for pair in pairs if _contradict(pair, subject, _tolerance(subject))]
    equal = [pair for pair in contradictions if pair.score == 1.0]
    yield _finding("conflicts", "equal texts with different answers", every, _EQUAL, equal)
    if subject.has_vectors:
        nearly = [pair for pair in contradictions if pair.score < 1.0]
        yield _finding("near-conflicts", "nearly equal texts with different answers", every, near, nearly)


def _tolerance(subject: Subject) -> float:
    """Numbers are different answers if they differ by more than their standard deviation."""
    numbers = [row.target for row in subject.rows if isinstance(row.target, float)]
    return float(np.std(numbers)) if numbers else 0.0


def _contradict(pair: Pair, subject: Subject, tolerance: float) -> bool:
    """Places in a text, and generated texts, are compared where both texts are the same in every sign."""
    left, right = pair.row.target, pair.other.target
    if not subject.has_vectors:
        return bool(left != right) and pair.row.inputs == pair.other.inputs
    if isinstance(left, float):
        return bool(abs(left - right) > tolerance)
    return sorted(left) != sorted(right) if isinstance(left, list) else bool(left != right)


def _finding(name: str, title: str, of: int, how: str, pairs: Iterable[Pair]) -> Finding:
    """Each row once, in its nearest pair."""
    nearest: dict[int, Pair] = {}
    for pair in sorted(pairs, key=lambda pair: -pair.score):
        nearest.setdefault(id(pair.row), pair)
    return Finding(name, title, len(nearest), of, how, [pair.to_example() for pair in nearest.values()])


def _told(subject: Subject) -> str:
    left = len(subject.rows) - len(subject.embedded)
    return f" ({left:,} training rows without vectors)" if subject.has_vectors and left else ""


def _unique(pairs: Iterable[Pair]) -> Iterator[Pair]:
    seen: set[tuple[int, int]] = set()
    for pair in pairs:
        key = (id(pair.row), id(pair.other))
        if key not in seen:
            seen.add(key)
            yield pair


def _by_letters(subject: Subject) -> Iterator[Pair]:
    rows, earlier = subject.rows, NearDuplicates()
    equal_only = subject.setup.training_task.shares_passages
    for places in _places_of_splits(rows):
        own, sketches = NearDuplicates(), [sketch(rows[at].text) for at in track("texts", places, len(places))]
        for at, each in zip(places, sketches, strict=True):
            for match, start in ((earlier.find(each), 0), (own.add(each), places[0])):
                if match and (match.similarity == 1.0 or not equal_only):
                    how = "equal" if match.similarity == 1.0 else f"{match.similarity:.0%} of the characters"
                    yield Pair(rows[at], rows[start + match.at], match.similarity, how)
        for each in sketches:
            earlier.add(each)


def _places_of_splits(rows: list[Row]) -> list[range]:
    """Splits follow one another."""
    starts = [at for at in range(len(rows)) if at == 0 or rows[at].split != rows[at - 1].split]
    ends = [*starts[1:], len(rows)]
    return [range(start, end) for start, end in zip(starts, ends, strict=True)]


def _by_vectors(subject: Subject) -> Iterator[Pair]:
    """The nearest earlier row of the same split, and of the splits before it."""
    if not subject.has_vectors:
        return
    rows, vectors = [subject.rows[at] for at in subject.embedded], subject.vectors
    for places in _places_of_splits(rows):
        for start in range(places[0], places[-1] + 1, _AT_ONCE):
            block = range(start, min(start + _AT_ONCE, places[-1] + 1))
            cosines = vectors[start : block[-1] + 1] @ vectors[: block[-1] + 1].T
            cosines[np.arange(len(block))[:, None] <= np.arange(block[-1] + 1)[None, :] - start] = -1.0
            for found in (_best(cosines[:, : places[0]], 0), _best(cosines[:, places[0] :], places[0])):
                for at, other, cosine in found:
                    score = min(float(cosine), 0.9999)
                    yield Pair(rows[start + at], rows[other], score, f"cosine {score:.3f}")


def _best(cosines: NDArray[np.float32], offset: int) -> list[tuple[int, int, float]]:
    if not cosines.shape[1]:
        return []
    best, values = cosines.argmax(axis=1), cosines.max(axis=1)
    return [(int(at), int(best[at]) + offset, float(values[at])) for at in np.flatnonzero(values >= COSINE)]
