"""The bound of any metric's drop: its weights, its further row, and the order statistics that are its limits."""

from __future__ import annotations

import numpy as np
import pytest

from export.proof.statistics import weighted_rows
from export.proof.statistics.weighted_rows import LostRows, limits_of
from trainer.metrics.resampling import mean_of


def lost_rows(before: list[float], after: list[float], counts: list[float] | None = None) -> LostRows:
    return LostRows.of(mean_of(before), mean_of(after), np.array(counts or [1.0] * len(before)))


def test_limits_leave_the_level_outside() -> None:
    """Of 99 values at 2.5 % the second from either end, as a hundredth each is below the first and above the last."""
    values = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))
    assert limits_of(values, 0.025) == (2.0, 98.0)
    assert limits_of(values, 0.0199) == (1.0, 99.0)
    assert limits_of(values, 0.03) == (3.0, 97.0)


@pytest.mark.parametrize("counts", [[1.0, 1.0, 1.0, 1.0], [6.0, 1.0, 0.0, 3.0]])
def test_a_lost_row_costs_its_share(counts: list[float]) -> None:
    """Of a mean, the drop is the share of lost rows beside rows whose answers are the same, however they occur."""
    rows = lost_rows([1.0, 0.5, 1.0, 0.0], [1.0, 0.5, 1.0, 0.0], counts)
    assert [rows.drop_at(share) for share in (0.0, 0.25, 1.0)] == pytest.approx([0.0, 0.25, 1.0])
    assert rows.share_that_costs(0.005) == pytest.approx(0.005, abs=1e-9)
    assert rows.share_that_costs(1.5) == 1.0
    worse = lost_rows([1.0, 0.5, 1.0, 0.5], [1.0, 0.0, 1.0, 0.0], [2.0, 1.0, 0.0, 1.0])
    assert worse.drop_at(0.0) == pytest.approx(0.25)
    assert worse.drop_at(0.5) == pytest.approx(0.625)


@pytest.mark.parametrize("at_once", [2_000_000, 16 * 7, 16 * 7 + 15, 1])
def test_blocks_bound_the_memory(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """As many resamples in any blocks, each with the weights of the rows and of the further one."""
    monkeypatch.setattr(weighted_rows, "WEIGHTS_AT_ONCE", at_once)
    rows = lost_rows([1.0] * 16, [1.0] * 16)
    blocks = list(rows._weights(100, 1.0))
    assert sum(len(block) for block in blocks) == 100
    assert {block.shape[1] for block in blocks} == {17}
    assert max(len(block) for block in blocks) == min(100, max(1, at_once // 16))
    before, after = rows.sample_scores(0.25, beyond=25)
    assert len(before) == len(after) == 100
    assert (before > after).all()
    assert before == pytest.approx(np.ones(100))


def test_weights_are_dirichlets() -> None:
    """A row's mean weight is how often it occurs, times the rows that are asked for; the further row's is one."""
    rows = lost_rows([1.0] * 4, [1.0] * 4, [1.0, 2.0, 0.5, 4.0])
    for factor in (1.0, 3.0):
        (weights,) = rows._weights(20_000, factor)
        expected = [*(factor * count for count in (1.0, 2.0, 0.5, 4.0)), 1.0]
        assert weights.mean(axis=0) == pytest.approx(expected, rel=0.05)
        assert weights.var(axis=0) == pytest.approx(expected, rel=0.1)
        assert np.abs(np.corrcoef(weights.T) - np.eye(5)).max() < 0.05


def test_fifty_resamples_lie_beyond_a_limit() -> None:
    """At any level, unless fewer are asked for."""
    rows = lost_rows([1.0] * 4, [1.0] * 4)
    assert len(rows.sample_scores(0.025)[0]) == 2000
    assert len(rows.sample_scores(0.03)[0]) == 1667
    assert len(rows.sample_scores(0.025, beyond=10)[1]) == 400
    few, many = (rows.sample_scores(0.025, factor)[1].mean() for factor in (1.0, 10.0))
    assert (few, many) == pytest.approx((1 - 1 / 5, 1 - 1 / 41), abs=0.01)
