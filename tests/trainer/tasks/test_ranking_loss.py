"""Each first text ranks its own second text before all others of its batch, but for those that answer it too."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from trainer.fit.batches import pad_labels
from trainer.tasks.ranking_loss import ranking_loss, text_id

Example = Sequence[str]
"""A first text, its answer, its hard negatives."""

DISTINCT: list[Example] = [("a", "1"), ("b", "2"), ("c", "3")]


def vectors_of(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    texts = sorted({text for example in examples for text in example})
    found = torch.randn(len(texts), 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return dict(zip(texts, found, strict=True))


def loss_of(examples: Sequence[Example], side: str = "right", **options: bool) -> float:
    vectors = torch.stack([vectors_of(examples)[text] for example in examples for text in example])
    ids = pad_labels([[text_id(text) for text in example] for example in examples], side)
    return float(ranking_loss(vectors, ids, scale=20.0, **options))


def naive(examples: Sequence[Example], *, backward: bool = False) -> float:
    """The formula, text by text."""
    vectors, total = vectors_of(examples), 0.0
    known = {(example[0], example[1]) for example in examples}
    for example in examples:
        if backward:
            (own, asked), others = example[:2], [other[0] for other in examples]
            wrong = [text for text in others if (text, asked) not in known and text != asked]
        else:
            (asked, own), others = example[:2], [text for other in examples for text in other[1:]]
            wrong = [text for text in others if (asked, text) not in known and text != asked]
        scores = [20 * float(torch.cosine_similarity(vectors[asked], vectors[text], dim=0)) for text in [own, *wrong]]
        total += math.log(sum(math.exp(score) for score in scores)) - scores[0]
    return total


@pytest.mark.parametrize(
    "examples",
    [
        DISTINCT,
        [("a", "1", "x"), ("b", "2", "y"), ("c", "3", "z")],
        [("a", "1"), ("b", "2", "x", "y"), ("c", "3", "z")],
    ],
    ids=["pairs", "a negative each", "none, one and two negatives"],
)
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_loss_is_the_formula(examples: list[Example], side: str) -> None:
    """In both directions, whichever side labels are padded at."""
    assert loss_of(examples, side) == pytest.approx(naive(examples))
    both = (naive(examples) + naive(examples, backward=True)) / 2
    assert loss_of(examples, side, symmetric=True) == pytest.approx(both)


@pytest.mark.parametrize(
    "examples",
    [
        [("a", "1"), ("b", "1"), ("c", "3")],
        [("a", "1"), ("a", "2"), ("c", "3")],
        [("a", "1"), ("b", "2", "1"), ("a", "3")],
        [("a", "1"), ("b", "a"), ("c", "3")],
        [("a", "1"), ("a", "1"), ("c", "3")],
    ],
    ids=["an answer twice", "a question twice", "another's answer as a negative", "the question itself", "a row twice"],
)
def test_a_right_answer_is_no_wrong_one(examples: list[Example]) -> None:
    """What the batch knows as an answer, and the question itself, are left out."""
    assert loss_of(examples) == pytest.approx(naive(examples))
    both = (naive(examples) + naive(examples, backward=True)) / 2
    assert loss_of(examples, symmetric=True) == pytest.approx(both)


def test_case_and_spaces_make_no_other_text() -> None:
    """An uncased model could not tell them apart."""
    assert text_id("Where  is it?") == text_id("where is it?") != text_id("where is he?")


def test_gradients_are_finite_where_all_others_are_right() -> None:
    """One answer for all: there is nothing to learn, and nothing breaks."""
    vectors = torch.randn(4, 3, requires_grad=True)
    ids = torch.tensor([[text_id("a"), text_id("1")], [text_id("b"), text_id("1")]])
    ranking_loss(vectors, ids, scale=20.0, symmetric=True).backward()
    assert vectors.grad is not None
    assert vectors.grad.abs().max() == 0
