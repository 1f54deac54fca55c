"""Entity-level precision, recall and F1 of BIO tags, equal to conlleval's and ``seqeval``'s default.

An entity is right where type, start and end are (Tjong Kim Sang and De Meulder 2003, CoNLL-2003); 0 / 0 is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from serving.tasks.token_classification import OUTSIDE

Span = tuple[str, int, int]


@dataclass(frozen=True)
class Score:
    """``support`` counts the expected entities."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class EntityScores:
    """``micro`` is of all entities."""

    micro: Score
    per_type: dict[str, Score]


def entity_scores(expected: Sequence[Sequence[str]], answered: Sequence[Sequence[str]]) -> EntityScores:
    """Of BIO tags [sentences][tokens]; raises ValueError for others and for unequal lengths."""
    _check_lengths(expected, answered)
    wanted, found, hits = Counter[str](), Counter[str](), Counter[str]()
    for expected_tags, answered_tags in zip(expected, answered, strict=True):
        expected_spans, answered_spans = set(spans_of(expected_tags)), set(spans_of(answered_tags))
        wanted.update(span[0] for span in expected_spans)
        found.update(span[0] for span in answered_spans)
        hits.update(span[0] for span in expected_spans & answered_spans)
    per_type = {kind: _score(hits[kind], found[kind], wanted[kind]) for kind in sorted(wanted | found)}
    return EntityScores(_score(hits.total(), found.total(), wanted.total()), per_type)


def spans_of(tags: Sequence[str]) -> list[Span]:
    """One sentence's entities: (type, first token, token after the last).

    I- after anything but its own type begins an entity. Raises ValueError for what is no BIO tag.
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
    for number, (wanted, found) in enumerate(zip(expected, answered, strict=True), 1):
        if len(wanted) != len(found):
            raise ValueError(f"sentence {number}: {len(found)} tags are answered, {len(wanted)} expected")


def _score(hits: int, found: int, wanted: int) -> Score:
    return Score(_share(hits, found), _share(hits, wanted), _share(2 * hits, found + wanted), wanted)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
