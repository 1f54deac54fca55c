"""The figures of an attack, beside those of others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from trainer.metrics.membership import Attack, auc_with_interval, largest_auc, largest_share, relative_to_label

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shift", [0.0, 0.4, 5.0])
def test_auc(shift: float) -> None:
    """It is scikit-learn's, ties included."""
    members, others = np.round(RANDOM.normal(shift, 1, 300), 1), np.round(RANDOM.normal(0, 1, 200), 1)
    auc, (low, high) = auc_with_interval(members, others)
    assert auc == pytest.approx(roc_auc_score([1] * 300 + [0] * 200, [*members, *others]))
    assert 0 <= low <= auc <= high <= 1


def test_interval_covers() -> None:
    """It has the right AUC inside nineteen times in twenty."""
    right, hits = norm.cdf(0.5 / np.sqrt(2)), 0
    for _ in range(400):
        _, (low, high) = auc_with_interval(RANDOM.normal(0.5, 1, 80), RANDOM.normal(0, 1, 120))
        hits += low <= right <= high
    assert 0.92 < hits / 400 < 0.98


def test_few_false_alarms() -> None:
    """The share above a threshold that one in a hundred others is above."""
    attack = Attack(np.array([5.0, 0.985, 0.5, 0.2]), np.arange(100) / 100)
    assert attack.true_positives(0.01) == 0.5
    assert attack.to_record()["true_positive_rate"] == 0.5
    assert "true_positive_rate" not in Attack(np.array([5.0]), np.arange(99.0)).to_record()


def test_hard_labels() -> None:
    """Rows of a hard label are told apart by what is usual for it; who has not been trained on is not."""
    hard = RANDOM.random(1000) < 0.5
    usual = np.where(hard, 3.0, 0.1)
    labels = ["hard" if each else "easy" for each in hard]
    others = usual + RANDOM.normal(0, 0.05, 1000)
    learned = relative_to_label(usual - 0.1 + RANDOM.normal(0, 0.05, 1000), labels, others, labels)
    assert auc_with_interval(learned.members, learned.others)[0] > 0.9
    assert auc_with_interval(0.1 - usual, -others)[0] < 0.8
    unknown = relative_to_label(usual + RANDOM.normal(0, 0.05, 1000), labels, others, labels)
    low, high = auc_with_interval(unknown.members, unknown.others)[1]
    assert low < 0.5 < high


def test_labels_of_few_rows() -> None:
    """A row is not compared with itself: with many labels of two rows each, guessing stays guessing."""
    labels = [str(number // 2) for number in range(1000)]
    attack = relative_to_label(RANDOM.normal(size=1000), labels, RANDOM.normal(size=1000), labels)
    low, high = auc_with_interval(attack.members, attack.others)[1]
    assert low < 0.52
    assert high > 0.48


def test_what_epsilon_allows() -> None:
    """Without any ε an attack is a coin; the bound is that of the best test between two neighbours."""
    assert largest_auc(0.0, 0.0) == pytest.approx(0.5, abs=1e-4)
    assert largest_share(0.0, 0.0, 0.01) == pytest.approx(0.01)
    assert largest_share(2.0, 1e-5, 0.01) == pytest.approx(np.exp(2) * 0.01 + 1e-5)
    # a symmetric mechanism: randomised response, which answers rightly with a probability of e^ε / (1 + e^ε)
    right = np.exp(1) / (1 + np.exp(1))
    assert largest_share(1.0, 0.0, 1 - right) == pytest.approx(right)
    assert largest_auc(1.0, 0.0) == pytest.approx(right, abs=1e-3)
    assert largest_auc(1000.0, 1e-5) == pytest.approx(1.0)
