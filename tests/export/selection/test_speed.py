"""A variant's pace: paired rounds, their median and its interval, and no more rounds than it takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from export.selection import speed
from export.selection.speed import BASELINE_ROUNDS, ROUNDS, Pace, measure_pace
from serving.inference.predictor import Predictor

CANDIDATE, BASELINE = (cast(Predictor, SimpleNamespace(task=None)) for _ in range(2))


def run_in(monkeypatch: pytest.MonkeyPatch, times: dict[int, list[float]]) -> list[int]:
    """Let each predictor's rounds take these seconds, after those that are not counted; the list has who ran."""
    asked: list[int] = []
    uncounted = {id(CANDIDATE): 3, id(BASELINE): 1}
    remaining = {key: iter([99.0] * uncounted[key] + values) for key, values in times.items()}

    def seconds(predictor: Any, items: Any) -> float:
        asked.append(id(predictor))
        return next(remaining[id(predictor)])

    monkeypatch.setattr(speed, "_seconds", seconds)
    return asked


@pytest.mark.parametrize(
    ("ratios", "rounds", "median", "interval", "faster"),
    [
        ([2.0] * 9, ROUNDS, 2.0, (2.0, 2.0), True),
        ([2.0, 0.2, 2.1, 2.2, 2.3, 1.9, 1.8, 1.7, 9.0], ROUNDS, 2.0, (1.7, 2.3), True),  # a disturbed round at each end
        ([1.0] * 9, 2, 1.0, (1.0, 1.0), False),
        ([1.2, 1.05, 1.3, 1.08, 1.4, 1.4, 1.4, 1.4, 1.4], 4, 1.14, (1.05, 1.3), False),
        ([1.02] * 9, 2, 1.02, (1.02, 1.02), False),
    ],
)
def test_the_lower_end_decides(
    ratios: list[float],
    rounds: int,
    median: float,
    interval: tuple[float, float],
    faster: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One disturbed round at either end is left out; two rounds below the margin end the measurement."""
    asked = run_in(monkeypatch, {id(CANDIDATE): [1 / ratio for ratio in ratios], id(BASELINE): [1.0] * 9})
    pace = measure_pace(CANDIDATE, BASELINE, ["an item"] * 4)
    assert pace.ratio == pytest.approx(median)
    assert pace.interval == pytest.approx(interval)
    assert pace.clearly_faster == faster
    assert (asked.count(id(CANDIDATE)), asked.count(id(BASELINE))) == (rounds + 3, rounds + 1)


def test_the_baseline_is_as_fast_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """For fp32 only the rate is measured."""
    asked = run_in(monkeypatch, {id(CANDIDATE): [0.5] * BASELINE_ROUNDS})
    assert measure_pace(CANDIDATE, None, ["an item"]) == Pace(2.0, 1.0, (1.0, 1.0))
    assert len(asked) == BASELINE_ROUNDS + 3


def test_every_round_has_other_items_from_the_whole_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides answer the same items in a round."""
    seen: dict[int, list[list[int]]] = {id(CANDIDATE): [], id(BASELINE): []}

    def seconds(predictor: Any, items: Any) -> float:
        seen[id(predictor)].append(list(items))
        return len(items) * (0.01 if predictor is BASELINE else 0.005)

    monkeypatch.setattr(speed, "_seconds", seconds)
    measure_pace(CANDIDATE, BASELINE, range(1000))
    assert seen[id(CANDIDATE)][2:] == seen[id(BASELINE)]
    rounds = seen[id(BASELINE)][1:]
    assert len(rounds) == ROUNDS
    assert all(len(set(items)) == speed.ITEMS and max(items) - min(items) > 900 for items in rounds)
    assert len({item for items in rounds for item in items}) == ROUNDS * speed.ITEMS


@pytest.mark.parametrize(("seconds", "items"), [(0.001, 64), (0.1, 20), (9.0, 4)])
def test_slow_models_have_short_rounds(seconds: float, items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round takes two seconds at most, or four items."""
    asked: list[int] = []

    def measure(predictor: Any, sample: Any) -> float:
        asked.append(len(sample))
        return seconds * len(sample)

    monkeypatch.setattr(speed, "_seconds", measure)
    measure_pace(CANDIDATE, None, range(1000))
    assert set(asked[2:]) == {items}
