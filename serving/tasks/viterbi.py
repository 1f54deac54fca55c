"""The best sequence of BIO tags: an entity begins with B-, and I- goes on with one of the same type.

Taking each word's best tag by itself gives sequences that no annotator writes. Viterbi's algorithm (Viterbi 1967,
Forney 1973) finds the most probable of those that are well formed. With MiniLM on WNUT17 it was worth between one and
two points of entity F1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serving.tasks.activations import Scores

LEAST = 1e-30
"""Stands for a probability of zero, whose logarithm there is none of."""


def may_follow(labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """``[labels + 1, labels]``: whether a tag (column) may come after another (row); the last row is the beginning."""
    allowed = np.ones((len(labels) + 1, len(labels)), dtype=np.bool_)
    for column, label in enumerate(labels):
        if label.startswith("I-"):
            before = [each[:2] in ("B-", "I-") and each[2:] == label[2:] for each in labels]
            allowed[:, column] = [*before, False]
    return allowed


def best_sequence(scores: Sequence[Scores], labels: Sequence[str]) -> list[int]:
    """The most probable well-formed tags, as label numbers, for probabilities [words, labels]; none for no words."""
    if not len(scores):
        return []
    allowed = np.where(may_follow(labels), 0.0, -np.inf)
    logs = np.log(np.maximum(np.stack(scores), LEAST))
    total, origins = logs[0] + allowed[-1], []
    for row in logs[1:]:
        paths = total[:, None] + allowed[:-1]
        origins.append(paths.argmax(axis=0))
        total = paths.max(axis=0) + row
    tags = [int(total.argmax())]
    for origin in reversed(origins):
        tags.append(int(origin[tags[-1]]))
    return tags[::-1]
