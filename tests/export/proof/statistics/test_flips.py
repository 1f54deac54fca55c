"""The figures by which an approximate variant is judged."""

from __future__ import annotations

import pytest

from export.proof.statistics.flips import count_flips


def test_flips_are_counted_both_ways() -> None:
    """Rows lost and won, other changes, and McNemar's exact p: of 1 and 6 discordant pairs, twice 8 / 128."""
    before = [True] * 6 + [False] * 5
    after = [False] * 6 + [True] + [False] * 4
    flips = count_flips([True] * 8 + [False] * 3, before, after)
    assert (flips.lost, flips.won, flips.changed) == (6, 1, 8)
    assert flips.mcnemar_p == pytest.approx(0.125)
    assert flips.changed_share_95[0] < 8 / 11 < flips.changed_share_95[1]


def test_no_flip_is_no_certainty() -> None:
    """With no change in 150 rows, the share may still be 2.4 %: 1 - 0.025^(1/150)."""
    flips = count_flips([False] * 150, [True] * 150, [True] * 150)
    assert flips.mcnemar_p == 1
    assert flips.changed_share_95 == pytest.approx((0, 1 - 0.025 ** (1 / 150)))
