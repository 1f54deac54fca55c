"""What is hidden together, and what is read from the answers: by themselves, over games whose values are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.explain.attribution import (
    EMPTY,
    FULL,
    MOST_SAMPLES,
    Attribution,
    Coalitions,
    Design,
    affordable,
    occlusion,
    rows_of_orders,
    shapley,
)

Game = Callable[[Coalitions], float]


def played(design: Design, game: Game) -> Attribution:
    """What a design finds of a game."""
    return design.estimate(np.array([game(row) for row in design.shown]))


def random_game(units: int, seed: int) -> Game:
    """A value for every coalition, with nothing to hold on to."""
    values = np.random.default_rng(seed).normal(size=2**units)
    return lambda shown: float(values[int(shown @ (1 << np.arange(units)))])


def by_definition(units: int, game: Game) -> list[float]:
    """Shapley values: the mean gain of each unit over all orders, all of them written out."""
    gains = np.zeros(units)
    for order in itertools.permutations(range(units)):
        shown = np.zeros(units, dtype=np.bool_)
        for unit in order:
            before = game(shown)
            shown[unit] = True
            gains[unit] += game(shown) - before
    return list(gains / factorial(units))


@given(st.integers(1, 40))
def test_occlusion_hides_each_alone(units: int) -> None:
    """There is the whole, the empty, and for each unit the row without it; no row comes twice."""
    shown = occlusion(units).shown
    assert shown[FULL].all()
    assert not shown[EMPTY].any()
    assert len({row.tobytes() for row in shown}) == len(shown) == (2 if units == 1 else units + 2)
    assert played(occlusion(units), lambda row: float(row @ np.arange(units))).scores.tolist() == list(range(units))


@pytest.mark.parametrize("units", [1, 2, 3, 5])
def test_all_coalitions_give_shapley_values(units: int) -> None:
    """With every coalition asked, the values are those of the definition, and the design says that they are exact."""
    game = random_game(units, seed=units)
    found = played(shapley(units, 256, None, 0), game)
    assert found.exact
    assert found.scores == pytest.approx(by_definition(units, game))


@given(units=st.integers(1, 30), pairs=st.integers(1, 5), seed=st.integers(0, 99))
def test_orders_add_up(units: int, pairs: int, seed: int) -> None:
    """Sampled values, too, sum to the whole less the empty; their rows are at most those that were told of."""
    weights = np.random.default_rng(seed).normal(size=units)
    game = lambda shown: float(np.tanh(shown @ weights))  # noqa: E731
    design = shapley(units, 10_000, 2 * pairs, seed)
    found = played(design, game)
    assert len(design.shown) <= rows_of_orders(units, 2 * pairs)
    assert found.scores.sum() == pytest.approx(game(design.shown[FULL]) - game(design.shown[EMPTY]))
    assert (found.errors is None) == (pairs == 1)


def test_orders_come_near() -> None:
    """Sampled values come near to exact ones, as near as their standard errors say."""
    game = random_game(8, seed=1)
    exact = played(shapley(8, 256, None, 0), game).scores
    found = played(shapley(8, 10_000, 400, 7), game)
    assert found.errors is not None
    assert np.abs(found.scores - exact).max() < 0.2
    assert (np.abs(found.scores - exact) < 4 * found.errors).all()


def test_backwards_and_forwards() -> None:
    """An antithetic pair alone finds a game of pairs exactly: each pair's gain falls to one, then to the other."""
    game = lambda shown: float(shown[0] and shown[1]) + 2 * float(shown[2] and shown[3])  # noqa: E731
    assert played(shapley(4, 10_000, 2, 3), game).scores.tolist() == [0.5, 0.5, 1, 1]


def test_a_seed_repeats() -> None:
    """The same seed asks the same rows, another asks others."""
    one, same, other = (shapley(12, 10_000, 4, seed).shown for seed in (5, 5, 6))
    assert np.array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


@given(units=st.integers(1, 128), rows=st.integers(8, 256))
def test_affordable(units: int, rows: int) -> None:
    """What is thought affordable is an even number of orders, and is, unless not even two are."""
    samples = affordable(units, rows)
    assert samples % 2 == 0
    assert 2 <= samples <= MOST_SAMPLES
    assert samples == 2 or rows_of_orders(units, samples) <= rows
    assert rows_of_orders(units, 2) <= rows or units > rows // 2
