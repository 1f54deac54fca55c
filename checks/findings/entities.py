"""Mentions of texts with entities that are tagged unlike most of the same words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from checks.finding import Example, Finding, Row
from serving.tasks.token_classification import OUTSIDE
from trainer.metrics.entities import spans_of

FEWEST_MENTIONS, SHARE = 4, 0.8
_LONGEST, _MOST_PLACES = 6, 100
_UNTAGGED = "no entity"

Words = tuple[str, ...]


def find_odd_mentions(rows: Sequence[Row]) -> Finding:
    """Words that are one type in most places, and another type or none in this one."""
    kinds: defaultdict[Words, Counter[str]] = defaultdict(Counter)
    places: defaultdict[tuple[Words, str], list[Row]] = defaultdict(list)
    known = {mention for row in rows for mention, _ in _tagged(row)}
    for row in rows:
        for mention, kind in (*_tagged(row), *((each, _UNTAGGED) for each in _untagged(row, known))):
            kinds[mention][kind] += 1
            if len(listed := places[mention, kind]) < _MOST_PLACES:
                listed.append(row)
    examples = [example for mention, counts in kinds.items() for example in _odd(mention, counts, places)]
    how = f"{SHARE:.0%} of at least {FEWEST_MENTIONS} mentions are of one type, and this one is not"
    return Finding("odd-mentions", "mentions tagged unlike the others", len(examples), len(rows), how, examples)


def _odd(mention: Words, counts: Counter[str], places: dict[tuple[Words, str], list[Row]]) -> Iterator[Example]:
    (usual, most), total = counts.most_common(1)[0], counts.total()
    if total < FEWEST_MENTIONS or usual == _UNTAGGED or not SHARE <= most / total < 1:
        return
    for kind in counts.keys() - {usual}:
        for row in places[mention, kind]:
            yield Example(f"{' '.join(mention)!r} is {kind}; {usual} in {most} of {total}", (row,))


def _words(row: Row) -> list[str]:
    return [row.text[start:end] for start, end in row.target["words"]]


def _tagged(row: Row) -> list[tuple[Words, str]]:
    words = _words(row)
    return [(tuple(words[start:end]), kind) for kind, start, end in spans_of(row.target["tags"])]


def _untagged(row: Row, known: set[Words]) -> Iterator[Words]:
    """The longest known mention at each word, of words outside every entity."""
    words, tags, at = _words(row), row.target["tags"], 0
    while at < len(words):
        lengths = range(min(_LONGEST, len(words) - at), 0, -1)
        found = next((n for n in lengths if tuple(words[at : at + n]) in known and _outside(tags[at : at + n])), 0)
        if found:
            yield tuple(words[at : at + found])
        at += found or 1


def _outside(tags: Sequence[str]) -> bool:
    return all(tag == OUTSIDE for tag in tags)
