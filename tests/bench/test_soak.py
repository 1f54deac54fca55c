"""bench.soak: what it tells of a server's slopes."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.soak import Samples, figures


def test_slope() -> None:
    """Growth is told per 100,000 requests, over the second half: what is filled once is no growth."""
    samples = Samples(requests=[0, 1000, 2000, 3000])
    assert samples.slope([0.0, 50.0, 60.0, 61.0]) == pytest.approx(100)
    assert samples.slope([0.0, 50.0, 60.0, 60.0]) == pytest.approx(0)


def test_wrong_answers_are_errors() -> None:
    """One wrong answer fails the soak."""
    steady = Samples([0, 1, 2, 3], [1.0] * 4, [1] * 4, [1] * 4, [1.0] * 3)
    assert not any(figure.is_error for figure in figures(steady, 3))
    steady.errors = Counter({"wrong label": 1})
    assert any(figure.is_error for figure in figures(steady, 3))
