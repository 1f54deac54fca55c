"""A variant's pace: medians of paired rounds, as many as it takes."""

from __future__ import annotations

from typing import Any

import pytest

from export.selection import speed
from export.selection.speed import MIN_ROUNDS, ROUNDS, measure_pace


@pytest.mark.parametrize(("ours", "ratio", "rounds"), [(0.5, 2.0, ROUNDS), (1.0, 1.0, ROUNDS), (2.0, 0.5, MIN_ROUNDS)])
def test_a_clearly_slower_variant_is_measured_briefly(
    ours: float, ratio: float, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ratio is from fewer rounds; before them, each predictor runs once uncounted."""
    asked: list[Any] = []

    def seconds(predictor: Any, items: Any) -> float:
        asked.append(predictor)
        return ours if predictor == "candidate" else 1.0

    monkeypatch.setattr(speed, "_seconds", seconds)
    candidate: Any = "candidate"
    baseline: Any = "baseline"
    pace = measure_pace(candidate, baseline, ["an item"] * 4)
    assert (pace.ratio, pace.rate, pace.spread) == (ratio, 4 / ours, (ratio, ratio))
    assert asked.count("candidate") == asked.count("baseline") == rounds + 1


def test_the_baseline_is_as_fast_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """For fp32 only the rate is measured."""
    monkeypatch.setattr(speed, "_seconds", lambda *_: 0.5)
    anything: Any = None
    assert measure_pace(anything, None, ["an item"]) == speed.Pace(2.0, 1.0, (1.0, 1.0))


def test_the_median_ignores_one_disturbed_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round disturbed by other load appears only in the spread."""
    times = iter([1.0, 1.0, *[0.5, 1.0] * 3, 5.0, 1.0, *[0.5, 1.0] * 3])
    monkeypatch.setattr(speed, "_seconds", lambda *_: next(times))
    anything: Any = None
    another: Any = "baseline"
    pace = measure_pace(anything, another, ["an item"])
    assert (pace.ratio, pace.spread) == (2.0, (0.2, 2.0))
