"""The most probable well-formed sequence of BIO tags: I- follows B- or I- of the same type only.

Viterbi's algorithm (Viterbi 1967, Forney 1973).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from serving.tasks.activations import Scores

LEAST = 1e-30
"""A floor for probabilities, so that zero has a logarithm."""


def may_follow(labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """[labels + 1, labels]: whether a tag (column) may follow another (row); the last row is the start."""
    allowed = np.ones((len(labels) + 1, len(labels)), dtype=np.bool_)
    for column, label in enumerate(labels):
        if label.startswith("I-"):
            before = [each[:2] in ("B-", "I-") and each[2:] == label[2:] for each in labels]
            allowed[:, column] = [*before, False]
    return allowed


def best_sequence(scores: Sequence[Scores], labels: Sequence[str]) -> list[int]:
    """Label indices, one a word, for probabilities [words, labels]."""
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
