"""Labels of texts that have none, by the texts around them.

Label spreading (Zhou et al. 2004, "Learning with Local and Global Consistency"): F ← a S F + (1 - a) Y, where a is
ALPHA, S the normalised graph of nearest neighbours, and Y has the known labels, and a classifier's guesses elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEIGHBOURS = 7
ALPHA = 0.8
"""What the neighbours say against a text's own label or guess."""

WIDTH = 0.15
"""A neighbour weighs exp((cosine - 1) / WIDTH)."""

STEPS = 30
"""After them ALPHA to this power, a thousandth, is left to change."""

Floats = NDArray[np.float32]


def spread_labels(vectors: Floats, numbers: Sequence[int], guesses: Floats) -> Floats:
    """The labels' shares of each text without one: [texts, labels], of sum 1.

    Args:
        vectors: of length 1, [known + others, width].
        numbers: the known labels.
        guesses: the others' probabilities, [others, labels].
    """
    known = len(numbers)
    begin = np.zeros((len(vectors), guesses.shape[1]), dtype=np.float32)
    begin[np.arange(known), numbers] = 1
    begin[known:] = guesses
    graph, shares = _neighbour_graph(vectors), begin
    for _ in range(STEPS):
        shares = ALPHA * (graph @ shares) + (1 - ALPHA) * begin
    spread: Floats = shares[known:] / shares[known:].sum(axis=1, keepdims=True)
    return spread


def _neighbour_graph(vectors: Floats) -> csr_matrix:
    """Symmetric, and divided by the roots of both ends' sums."""
    from scipy.sparse import diags
    from sklearn.neighbors import kneighbors_graph

    graph = kneighbors_graph(vectors, min(NEIGHBOURS, len(vectors) - 1), mode="distance")
    graph.data = np.exp(-(graph.data**2) / 2 / WIDTH).astype(np.float32)  # of unit vectors, 1 - cosine
    graph = graph.maximum(graph.T)
    scale = diags(np.asarray(graph.sum(axis=1)).ravel() ** -0.5)
    return scale @ graph @ scale
