"""The loss of pairs without scores: each first text ranks its own second text before those of its batch."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from trainer.data.rows import normalize as plain
from trainer.model.inputs import IGNORED


def text_id(text: str) -> int:
    """31 bits, the same for texts that differ in case and spaces alone; never IGNORED.

    Where two texts of a batch share it by chance, one is missing among the other's wrong answers.
    """
    return int.from_bytes(hashlib.blake2b(plain(text).encode(), digest_size=4).digest()) >> 1


def ranking_loss(vectors: Tensor, ids: Tensor, *, scale: float, symmetric: bool = False) -> Tensor:
    """The summed cross-entropy of each example's second text among all but the first texts of the batch.

    A text that is known as an answer to the first one, or equals it, is left out from among the others. Where it is
    symmetric, the mean with the loss of each first text among the first ones, beside its second text.

    Source: Henderson et al. 2017, "Efficient Natural Language Response Suggestion for Smart Reply", section 4.4;
    sentence-transformers' MultipleNegativesRankingLoss and MultipleNegativesSymmetricRankingLoss.

    Args:
        vectors: [texts, dimensions], of each example the first text, the second, and its hard negatives.
        ids: `text_id` of each of them, [examples, most texts], with IGNORED where an example has fewer.
    """
    known = ids.ne(IGNORED)
    counts = known.sum(dim=1)
    texts, first = ids[known], counts.cumsum(0) - counts
    vectors = normalize(vectors, dim=-1)
    is_query = torch.zeros_like(texts, dtype=torch.bool).index_fill(0, first, value=True)
    queries, answers, others = texts[first], texts[first + 1], texts[~is_query]
    places = torch.arange(len(ids), device=first.device)
    own = first - places  # of each second text, among all that are no first ones
    scores = scale * vectors[first] @ vectors[~is_query].T
    forward = cross_entropy(_without_answers(scores, queries, answers, others, own), own, reduction="sum")
    if not symmetric:
        return forward
    backward = _without_answers(scores[:, own].T, answers, queries, queries, places)
    return (forward + cross_entropy(backward, places, reduction="sum")) / 2


def _without_answers(scores: Tensor, queries: Tensor, answers: Tensor, texts: Tensor, own: Tensor) -> Tensor:
    """Scores [queries, texts], -inf for each text but a query's ``own`` that is a right answer too, or the query."""
    same_query = queries[:, None] == queries[None, :]
    answered = (same_query.float() @ (answers[:, None] == texts[None, :]).float()) > 0
    answered |= queries[:, None] == texts[None, :]
    return scores.masked_fill(answered.scatter(1, own[:, None], value=False), float("-inf"))
