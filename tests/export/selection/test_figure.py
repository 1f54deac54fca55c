"""The figure of the variants: names that do not lie on each other."""

from __future__ import annotations

from itertools import pairwise

import pytest

from export.selection.figure import APART, spread_levels


@pytest.mark.parametrize(
    ("levels", "wanted"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
        ([0.5, 0.5], [0.5 - APART / 2, 0.5 + APART / 2]),
        ([0.2, 0.5, 0.5, 0.5], [0.2, 0.5 - APART, 0.5, 0.5 + APART]),
        ([], []),
    ],
)
def test_names_are_moved_apart(levels: list[float], wanted: list[float]) -> None:
    """Only names too near each other move, around their mean."""
    assert spread_levels(levels) == pytest.approx(wanted)


def test_moved_names_do_not_meet_others() -> None:
    """A group that grows includes names that it reaches."""
    found = spread_levels([0.40, 0.42, 0.44, 0.52, 0.53])
    assert all(after - before > APART - 1e-6 for before, after in pairwise(found))
