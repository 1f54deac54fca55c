"""Entity-level precision, recall and F1, as ``seqeval`` scores BIO tags by default, which is as conlleval does.

An entity is right where type, beginning and end all are (Tjong Kim Sang and De Meulder 2003, CoNLL-2003). Where a
division by zero would be, the figure is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from serving.tasks.token_classification import OUTSIDE

Span = tuple[str, int, int]


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 of some entities, of which there are ``support`` in the expected tags."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class EntityScores:
    """All entities' score (micro-averaged), and each type's, the types in alphabetical order."""

    micro: Score
    per_type: dict[str, Score]

    @property
    def precision(self) -> float:
        """Of the entities answered, the share that is right."""
        return self.micro.precision

    @property
    def recall(self) -> float:
        """Of the entities expected, the share that was answered."""
        return self.micro.recall

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return self.micro.f1


def entity_scores(expected: Sequence[Sequence[str]], answered: Sequence[Sequence[str]]) -> EntityScores:
    """Scores of the BIO tags ``answered`` against those ``expected``, both [sentences][tokens].

    Raises ValueError where a sentence is missing, or has another number of tags, or a tag is no BIO tag.
    """
    _check_lengths(expected, answered)
    wanted, given, hits = Counter[str](), Counter[str](), Counter[str]()
    for wanted_tags, given_tags in zip(expected, answered, strict=True):
        wanted_spans, given_spans = set(spans_of(wanted_tags)), set(spans_of(given_tags))
        wanted.update(span[0] for span in wanted_spans)
        given.update(span[0] for span in given_spans)
        hits.update(span[0] for span in wanted_spans & given_spans)
    types = sorted(wanted | given)
    per_type = {name: _score(hits[name], given[name], wanted[name]) for name in types}
    return EntityScores(_score(hits.total(), given.total(), wanted.total()), per_type)


def spans_of(tags: Sequence[str]) -> list[Span]:
    """One sentence's entities as (type, start, end) in the order of their tokens; ``end`` is not in the entity.

    B- begins an entity, and so does I- after anything but the same type. Raises ValueError for what is no BIO tag.
    """
    spans: list[Span] = []
    start, before = 0, OUTSIDE
    for at, tag in enumerate([*tags, OUTSIDE]):
        if tag != OUTSIDE and tag[:2] not in ("B-", "I-"):
            raise ValueError(f"tags[{at}]: {tag!r} is no BIO tag; make BIO tags of others by trainer.data.conll.to_bio")
        if tag[:2] == "I-" and before[2:] == tag[2:] and before != OUTSIDE:
            continue
        if before != OUTSIDE:
            spans.append((before[2:], start, at))
        start, before = at, tag
    return spans


def _check_lengths(expected: Sequence[Sequence[str]], answered: Sequence[Sequence[str]]) -> None:
    if len(expected) != len(answered):
        raise ValueError(f"{len(answered)} sentences are answered, {len(expected)} expected")
    for number, (wanted, given) in enumerate(zip(expected, answered, strict=True), 1):
        if len(wanted) != len(given):
            raise ValueError(f"sentence {number}: {len(given)} tags are answered, {len(wanted)} expected")


def _score(hits: int, given: int, wanted: int) -> Score:
    return Score(_share(hits, given), _share(hits, wanted), _share(2 * hits, given + wanted), wanted)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
