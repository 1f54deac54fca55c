"""Labels themselves: spelled in several ways, rare, and spread differently over the splits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations, product

from rapidfuzz.distance import OSA
from scipy.stats import chi2_contingency

from checks.finding import Example, Finding
from checks.subject import Subject
from trainer.setup.data_warnings import plain_label

FEW_ROWS = 10
LEVEL = 0.001
_SHORT, _LONG = 5, 12
_UNLIKE = 1.5
_MOST_LABELS = 3000
"""Pairs of more are not compared."""


def find_label_problems(subject: Subject) -> Iterator[Finding]:
    yield _spellings(subject.labels)
    yield _rare(subject)
    yield _unlike_splits(subject)


def _spellings(labels: list[str]) -> Finding:
    listed = labels[:_MOST_LABELS]
    pairs = [pair for pair in combinations(listed, 2) if _may_be_one(*pair)]
    examples = [Example(f"{left!r} and {right!r}") for left, right in pairs]
    how = "case, spaces, Unicode, or a letter or two in a long name"
    return Finding("label-spellings", "labels that may be one", len(pairs), len(listed), how, examples)


def _may_be_one(left: str, right: str) -> bool:
    """Numbers tell labels apart."""
    first, second = plain_label(left), plain_label(right)
    if first == second:
        return True
    shorter = min(len(first), len(second))
    if shorter < _SHORT or re.findall(r"\d+", first) != re.findall(r"\d+", second):
        return False
    most = 2 if shorter >= _LONG else 1
    return bool(OSA.distance(first, second, score_cutoff=most) <= most)


def _rare(subject: Subject) -> Finding:
    counts = {label: count for label, count in subject.setup.splits.counts["train"].items() if label != "O"}
    rare = sorted((count, label) for label, count in counts.items() if count < FEW_ROWS)
    examples = [Example(f"{label!r}: {count}") for count, label in rare]
    how = f"fewer than {FEW_ROWS} training rows"
    return Finding("rare-labels", "rare labels", len(rare), len(counts), how, examples)


def _unlike_splits(subject: Subject) -> Finding:
    """Absent in a held-out split, or with another share of it than of the training rows."""
    counts = subject.setup.splits.counts
    train, labels, examples = counts["train"], len(counts["train"]), []
    for label, split in product(train, ("validation", "test")):
        shares = (train[label], sum(train.values())), (counts[split].get(label, 0), sum(counts[split].values()))
        if problem := _unlike(*shares, LEVEL / max(labels, 1)):
            examples.append((label, Example(f"{label!r}: {problem.format(split=split)}")))
    unlike = len({label for label, _ in examples})
    title = "labels spread differently over the splits"
    how = f"absent, or {_UNLIKE} times the share (χ², {LEVEL} over all labels)"
    return Finding("split-labels", title, unlike, labels, how, [example for _, example in examples])


def _unlike(train: tuple[int, int], held_out: tuple[int, int], level: float) -> str:
    """Each is the label's count and that of all; empty if the shares are alike."""
    if not held_out[1] or not train[0]:
        return ""
    if not held_out[0]:
        return "none in {split}"
    shares = train[0] / train[1], held_out[0] / held_out[1]
    table = [[count, of - count] for count, of in (train, held_out)]
    if max(shares) < _UNLIKE * min(shares) or 1.0 in shares or chi2_contingency(table).pvalue >= level:
        return ""
    return f"{shares[0]:.2%} of train, {shares[1]:.2%} of {{split}}"
