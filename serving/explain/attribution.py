"""Which units to mask together, and each unit's score.

Occlusion masks one unit at a time (Zeiler and Fergus 2014; Li, Monroe and Jurafsky 2016). Shapley values (Shapley 1953)
average what a unit adds over all orders of revealing the units: exact where all coalitions are affordable, else from
random orders (Castro, Gómez and Tejada 2009) in antithetic pairs (Mitchell, Cooper, Frank and Holmes 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

Coalitions = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

FULL, EMPTY = 0, 1
"""A design's rows with every unit, and with none."""

MOST_EXACT = 10
"""Most units whose coalitions are all run: 1,024."""

MOST_SAMPLES = 16


@dataclass(frozen=True)
class Attribution:
    """Scores [units] and, if estimated, their standard errors."""

    scores: Values
    errors: Values | None = None
    exact: bool = False


@dataclass(frozen=True)
class Design:
    """Attributes:
    shown: [rows, units], whether a row shows a unit; distinct rows, FULL and EMPTY first.
    estimate: values [rows] to an attribution.
    """

    shown: Coalitions
    estimate: Callable[[Values], Attribution]


def occlusion(units: int) -> Design:
    """Each unit masked alone: ``units + 2`` rows or fewer."""
    rows, places = _distinct([*_bounds(units), *(~np.eye(units, dtype=np.bool_))])

    def estimate(values: Values) -> Attribution:
        return Attribution(values[FULL] - values[places[2:]])

    return Design(rows, estimate)


def shapley(units: int, most_rows: int, samples: int | None, seed: int) -> Design:
    """All coalitions if ``most_rows`` allow and ``samples`` is None, else ``samples`` random orders, an even number."""
    if _is_exact(units, most_rows, samples):
        return _all_coalitions(units)
    return _random_orders(units, samples or affordable(units, most_rows), np.random.default_rng(seed))


def count_rows(units: int, most_rows: int, samples: int | None) -> int:
    """Of `shapley`'s design; random orders may have common rows."""
    if _is_exact(units, most_rows, samples):
        return int(2**units)
    return rows_of_orders(units, samples or affordable(units, most_rows))


def _is_exact(units: int, most_rows: int, samples: int | None) -> bool:
    return samples is None and units <= MOST_EXACT and 2**units <= most_rows


def affordable(units: int, most_rows: int) -> int:
    """Orders that ``most_rows`` rows allow: even, from 2 to MOST_SAMPLES."""
    pairs = (most_rows - 2) // (2 * max(units - 1, 1))
    return 2 * min(max(pairs, 1), MOST_SAMPLES // 2)


def rows_of_orders(units: int, samples: int) -> int:
    return samples * (units - 1) + 2


def _random_orders(units: int, samples: int, random: np.random.Generator) -> Design:
    forwards = [random.permutation(units) for _ in range(samples // 2)]
    orders = [order for each in forwards for order in (each, each[::-1])]
    prefixes = [prefix for order in orders for prefix in _prefixes(order)]
    rows, places = _distinct([*_bounds(units), *prefixes])
    steps = places[2:].reshape(len(orders), units + 1)

    def estimate(values: Values) -> Attribution:
        gains = np.empty((len(orders), units))
        for gain, order, step in zip(gains, orders, steps, strict=True):
            gain[order] = np.diff(values[step])
        pairs = gains.reshape(len(forwards), 2, units).mean(axis=1)
        errors = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else None
        return Attribution(gains.mean(axis=0), errors)

    return Design(rows, estimate)


def _prefixes(order: npt.NDArray[np.int64]) -> Coalitions:
    """[units + 1, units]: no unit, then one more a row."""
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    shown: Coalitions = position[None, :] < np.arange(len(order) + 1)[:, None]
    return shown


def _all_coalitions(units: int) -> Design:
    numbers = np.arange(2**units)
    coalitions = (numbers[:, None] >> np.arange(units)[None, :] & 1).astype(np.bool_)
    rows, places = _distinct([*_bounds(units), *coalitions])

    def estimate(values: Values) -> Attribution:
        values = values[places[2:]]
        return Attribution(np.array([_exact(values, coalitions, unit) for unit in range(units)]), exact=True)

    return Design(rows, estimate)


def _exact(values: Values, coalitions: Coalitions, unit: int) -> float:
    """Shapley's formula: the mean over coalition sizes of the mean gain at that size."""
    units = coalitions.shape[1]
    without = np.flatnonzero(~coalitions[:, unit])
    sizes = coalitions[without].sum(axis=1)
    weights = 1 / (units * np.array([comb(units - 1, size) for size in range(units)]))
    return float(weights[sizes] @ (values[without | 1 << unit] - values[without]))


def _bounds(units: int) -> list[Coalitions]:
    return [np.ones(units, dtype=np.bool_), np.zeros(units, dtype=np.bool_)]


def _distinct(rows: Iterable[Coalitions]) -> tuple[Coalitions, npt.NDArray[np.int64]]:
    """The distinct rows, and each given row's index among them."""
    seen: dict[bytes, int] = {}
    kept: list[Coalitions] = []
    indices = []
    for row in rows:
        index = seen.setdefault(row.tobytes(), len(seen))
        if index == len(kept):
            kept.append(row)
        indices.append(index)
    return np.stack(kept), np.array(indices)
