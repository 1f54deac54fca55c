"""Which items are answered again in other batches and with padding, and what that says."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.proof.answers.reference import ReferenceAnswers
from export.proof.answers.served_answers import ServedAnswers, compute_served_answers
from export.proof.checks import invariance
from export.proof.checks.invariance import measure_invariance
from serving.inference.predictor import Predictor


@pytest.fixture(scope="module")
def served(reference: ReferenceAnswers, tiny_bundle: Path) -> ServedAnswers:
    return compute_served_answers(reference, Predictor.open(tiny_bundle), workers=2)


def test_workers_change_no_answer(reference: ReferenceAnswers, served: ServedAnswers) -> None:
    """Batches that run at once give the results of batches in turn."""
    alone = compute_served_answers(reference, served.predictor)
    assert served.encoded == alone.encoded
    assert [[a.tolist() for a in each] for each in served.results] == [
        [a.tolist() for a in each] for each in alone.results
    ]


def test_a_sample_has_short_and_long_items(served: ServedAnswers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the budget, evenly spread over the items in the order of their lengths."""
    lengths = sorted(each.tokens for each in served.encoded)
    monkeypatch.setattr(invariance, "TOKENS_ALONE", sum(lengths) // 3)
    alone = invariance._ItemsAlone(served)
    sampled = [alone.tokens(place) for place in alone.places]
    assert len(sampled) == round(len(lengths) / 3)
    assert (sampled[0], sampled[-1]) == (lengths[0], lengths[-1])
    assert sum(sampled) <= 1.2 * sum(lengths) / 3


def test_no_change_among_few_says_little(served: ServedAnswers) -> None:
    """The share of inputs that may change is an exact interval of the compared items."""
    found = measure_invariance(served)
    assert found.row_independent
    mixed = [f"mixed with 15 others of any length, seed {seed}" for seed in range(3)]
    assert found.neighbours.how == ["as served, in batches of similar length", *mixed]
    assert found.padding.how == ["to 2 times their length", "to 64 tokens"]
    assert found.neighbours.comparisons == 4 * found.neighbours.items
    for each in (found.neighbours, found.padding):
        assert each.changed == 0
        assert each.changed_share_95 == pytest.approx((0.0, 1 - 0.025 ** (1 / each.items)))


def test_rows_that_run_alone_are_repeated_for_a_few(reference: ReferenceAnswers, tiny_dynamic_bundle: Path) -> None:
    """Every composition repeats the same calls, so that few show it."""
    found = measure_invariance(compute_served_answers(reference, Predictor.open(tiny_dynamic_bundle)))
    assert found.neighbours.items <= invariance.RERUN
    assert found.neighbours.changed == 0
    assert (found.padding.comparisons, found.padding.changed_share_95) == (0, None)
