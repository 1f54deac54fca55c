"""The exact test holds its level for every probability of lost and won rows, by the multinomial itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom, multinomial

from export.proof.statistics.paired_shares import (
    NUISANCE_ERROR,
    PairedCounts,
    drop_limit,
    p_value,
    rows_without_loss,
    share_interval,
    share_limit,
    signed_root,
)

LEVEL = 0.025


def most_lost(rows: int, budget: float, most_won: int, level: float = LEVEL) -> list[int]:
    """By the number won: the most lost with which the test passes, or -1."""
    found, lost = [], -1
    for won in range(most_won + 1):
        while lost + 1 + won <= rows and p_value(PairedCounts(rows, lost + 1, won), budget) <= level:
            lost += 1
        found.append(min(lost, rows - won))
    return found


def pass_probability(frontier: list[int], rows: int, lost: float, won: float) -> float:
    wins = np.arange(len(frontier))
    passing = np.where(np.array(frontier) < 0, 0.0, binom.cdf(frontier, rows - wins, lost / (1 - won)))
    return float((binom.pmf(wins, rows, won) * passing).sum())


@pytest.mark.parametrize("budget", [0.002, 0.005, 0.02, 0.2])
def test_without_loss_it_is_the_binomials(budget: float) -> None:
    """No row is lost or won: the limit is 1 - level^(1/rows), and so many rows are needed."""
    rows = rows_without_loss(budget, LEVEL)
    assert rows is not None
    for each in (rows - 1, rows):
        counts = PairedCounts(each, 0, 0)
        assert drop_limit(counts, LEVEL, budget) == pytest.approx(1 - LEVEL ** (1 / each), rel=1e-4)
        assert p_value(counts, budget) == pytest.approx((1 - budget) ** each, abs=2 * NUISANCE_ERROR)
    assert p_value(PairedCounts(rows - 1, 0, 0), budget) > LEVEL >= p_value(PairedCounts(rows, 0, 0), budget)


def test_the_default_budget_needs_736_rows() -> None:
    """For half a point at 2.5 %; no number of rows shows a drop of nothing."""
    assert rows_without_loss(0.005, LEVEL) == 736
    assert rows_without_loss(0.0, LEVEL) is None


def test_only_losses_are_clopper_and_pearson() -> None:
    """Without won rows, the limit is at least the binomial's upper limit, and close to it."""
    limit, binomial = drop_limit(PairedCounts(1000, 4, 0), LEVEL, 0.005), beta.isf(LEVEL, 5, 996)
    assert binomial - 1e-5 <= limit < 1.05 * binomial


@pytest.mark.slow
def test_the_p_value_is_the_multinomials() -> None:
    """All outcomes of 12 rows, summed at every probability of a won row: none exceeds the p-value."""
    rows, budget, observed = 12, 0.3, PairedCounts(12, 1, 2)
    outcomes = np.array([(lost, won) for lost in range(rows + 1) for won in range(rows + 1 - lost)])
    order = signed_root(*outcomes.T.astype(float), rows, budget)
    at = signed_root(np.array([1.0]), np.array([2.0]), rows, budget)[0]
    extreme = outcomes[order <= at + 1e-9]
    sums = []
    for won in np.linspace(0, (1 - budget) / 2, 400):
        shares = [won + budget, won, max(0.0, 1 - budget - 2 * won)]
        sums.append(sum(multinomial.pmf([*each, rows - each.sum()], rows, shares) for each in extreme))
    assert p_value(observed, budget) == pytest.approx(max(sums), abs=1e-3)


@pytest.mark.parametrize(("rows", "budget"), [(20, 0.2), (300, 0.02), (736, 0.005)])
def test_a_variant_at_the_budget_passes_rarely(rows: int, budget: float) -> None:
    """At a true drop of the budget the probability to pass is at most the level, whatever the share of won rows."""
    shares = np.linspace(0, 0.4 * (1 - budget) if rows < 200 else 0.01, 40)
    most_won = min(rows, int(binom.isf(1e-9, rows, shares[-1])))
    frontier = most_lost(rows, budget, most_won)
    assert max(pass_probability(frontier, rows, won + budget, won) for won in shares) <= LEVEL


def test_the_power_is_near_the_most_possible() -> None:
    """0.2 % of rows lost and as many won: within two points of the most that any test of this level reaches."""
    for rows, power, most in ((1821, 0.82, 0.837), (3080, 0.965, 0.976)):
        frontier = most_lost(rows, 0.005, 20)
        assert power < pass_probability(frontier, rows, 0.002, 0.002) < most


def test_more_lost_rows_never_help() -> None:
    """The p-value rises with the lost rows and falls with the won ones."""
    assert p_value(PairedCounts(2000, 3, 2), 0.005) < p_value(PairedCounts(2000, 4, 2), 0.005)
    assert p_value(PairedCounts(2000, 4, 3), 0.005) < p_value(PairedCounts(2000, 4, 2), 0.005)


def test_the_limit_says_what_the_test_says() -> None:
    """The limit is below the budget just where the test passes."""
    for lost in range(8):
        counts = PairedCounts(1821, lost, 2)
        assert (drop_limit(counts, LEVEL, 0.005) < 0.005) == (p_value(counts, 0.005) <= LEVEL)


def test_an_improvement_has_a_negative_limit() -> None:
    """Many won rows and few lost ones: the drop is below zero for certain."""
    limit = drop_limit(PairedCounts(400, 2, 40), LEVEL, 0.005)
    assert -0.095 < limit < -0.05


def test_changed_answers_bound_the_loss() -> None:
    """If at most 0.3 % of answers change, no drop of 0.5 points is possible, however few the labelled rows."""
    few = PairedCounts(50, 0, 0)
    assert p_value(few, 0.005) > 0.7
    assert p_value(few, 0.005, changed_share=0.003) == NUISANCE_ERROR
    assert drop_limit(few, LEVEL, 0.005, changed_share=0.003) == pytest.approx(0.003, rel=1e-3)
    assert drop_limit(PairedCounts(50, 0, 3), LEVEL, 0.005, changed_share=0.3) < 0.3


def test_counts_scale_to_no_better_rates() -> None:
    """Rows and losses round up, wins down."""
    counts = PairedCounts(10, 3, 3)
    assert counts.scale(1.5) == PairedCounts(15, 5, 4)
    assert counts.scale(2.0) == PairedCounts(20, 6, 6)
    assert PairedCounts(7, 1, 5).scale(1.5) == PairedCounts(11, 2, 7)
    assert PairedCounts(10, 3, 1).swap() == PairedCounts(10, 1, 3)
    assert PairedCounts(10, 3, 1).drop == 0.2


def test_shares_are_clopper_and_pearsons() -> None:
    """Two-sided at 95 % unless told, and the upper limit alone."""
    assert share_interval(3, 20) == pytest.approx((beta.ppf(0.025, 3, 18), beta.isf(0.025, 4, 17)))
    assert share_interval(0, 20, 0.9) == pytest.approx((0, 1 - 0.05 ** (1 / 20)))
    assert share_limit(3, 20, 0.05) == pytest.approx(beta.isf(0.05, 4, 17))
    assert (share_limit(20, 20, 0.05), share_limit(19, 20, 0.05)) == (1.0, pytest.approx(beta.isf(0.05, 20, 1)))


@pytest.mark.parametrize(
    ("counts", "budget", "p"),
    [
        # Summed over all outcomes with the multinomial's own probabilities, at each of 20,001 shares of won rows.
        (PairedCounts(12, 0, 0), 0.3, 0.0138413),
        (PairedCounts(12, 1, 2), 0.3, 0.0138413),
        (PairedCounts(12, 5, 1), 0.3, 0.653347),
        (PairedCounts(12, 0, 12), 0.3, 3.37922e-06),
        (PairedCounts(12, 12, 0), 0.3, 1),
        (PairedCounts(9, 2, 4), -0.2, 0.571259),
        (PairedCounts(9, 4, 2), 0.0, 1),
    ],
)
def test_p_values(counts: PairedCounts, budget: float, p: float) -> None:
    """Of few rows, from the definition."""
    assert p_value(counts, budget) == pytest.approx(p, rel=2e-3, abs=2 * NUISANCE_ERROR)


def test_a_drop_that_cannot_be() -> None:
    """No share of changed answers, or more won rows than may change: nothing is left to reject but the set's error."""
    assert p_value(PairedCounts(10, 0, 0), -0.5, changed_share=0.5) == 1.0
    assert p_value(PairedCounts(10, 0, 0), -0.49, changed_share=0.5) <= 1.0
    assert p_value(PairedCounts(1000, 0, 500), 0.1, changed_share=0.2) == NUISANCE_ERROR
