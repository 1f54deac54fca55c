"""Which units to hide together, and what the values then found say of each unit.

Occlusion hides one unit at a time (Zeiler and Fergus 2014; "leave one out" in Li, Monroe and Jurafsky 2016): a unit's
score is what is lost with it. Shapley values (Shapley 1953) average what a unit adds over all orders in which units can
be shown. They are exact where all coalitions are affordable, else estimated from random orders (Castro, Gómez and
Tejada 2009), each taken forwards and backwards (antithetic pairs: Mitchell, Cooper, Frank and Holmes 2022).
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
"""The row of a design that shows every unit, and the one that shows none."""

MOST_EXACT = 10
"""Units up to which all coalitions are thought of: 1,024 of them."""


@dataclass(frozen=True)
class Attribution:
    """What each unit adds: ``scores`` [units]; ``errors``, the standard error of each, where it was estimated."""

    scores: Values
    errors: Values | None = None
    exact: bool = False


@dataclass(frozen=True)
class Design:
    """What to ask, and how to read what comes back.

    Attributes:
        shown: [rows, units], whether a row shows a unit; row FULL shows all, row EMPTY none, and no row comes twice.
        estimate: the rows' values [rows] to what each unit adds.
    """

    shown: Coalitions
    estimate: Callable[[Values], Attribution]


def occlusion(units: int) -> Design:
    """Each unit hidden alone: ``units + 2`` rows, three for a lone unit at most."""
    rows, places = _distinct([_full(units), _empty(units), *(~np.eye(units, dtype=np.bool_))])

    def estimate(values: Values) -> Attribution:
        return Attribution(values[FULL] - values[places[2:]])

    return Design(rows, estimate)


def shapley(units: int, most_rows: int, samples: int | None, seed: int) -> Design:
    """All coalitions where they are no more than ``most_rows`` and no number of orders is asked for, else orders.

    Args:
        units: how many there are; at most ``most_rows // 2``.
        most_rows: rows that may be asked.
        samples: orders to draw, an even number; absent: as many as ``most_rows`` pay for, MOST_SAMPLES at most.
        seed: of the draw.
    """
    if samples is None and units <= MOST_EXACT and 2**units <= most_rows:
        return _all_coalitions(units)
    return _orders(units, samples or affordable(units, most_rows), np.random.default_rng(seed))


MOST_SAMPLES = 16


def affordable(units: int, most_rows: int) -> int:
    """Orders that ``most_rows`` rows pay for: an even number, two at least, MOST_SAMPLES at most."""
    pairs = (most_rows - 2) // (2 * max(units - 1, 1))
    return 2 * min(max(pairs, 1), MOST_SAMPLES // 2)


def rows_of_orders(units: int, samples: int) -> int:
    """The rows that so many orders cost at most."""
    return samples * (units - 1) + 2


def _orders(units: int, samples: int, random: np.random.Generator) -> Design:
    forwards = [random.permutation(units) for _ in range(samples // 2)]
    orders = [order for each in forwards for order in (each, each[::-1])]
    prefixes = [prefix for order in orders for prefix in _prefixes(order)]
    rows, places = _distinct([_full(units), _empty(units), *prefixes])
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
    """[units + 1, units]: nothing shown, then one unit more in each row."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    shown: Coalitions = place[None, :] < np.arange(len(order) + 1)[:, None]
    return shown


def _all_coalitions(units: int) -> Design:
    numbers = np.arange(2**units)
    every = (numbers[:, None] >> np.arange(units)[None, :] & 1).astype(np.bool_)
    rows, places = _distinct([_full(units), _empty(units), *every])
    place = places[2:]

    def estimate(values: Values) -> Attribution:
        return Attribution(np.array([_exact(values[place], every, unit) for unit in range(units)]), exact=True)

    return Design(rows, estimate)


def _exact(values: Values, every: Coalitions, unit: int) -> float:
    """Shapley's formula: the mean over all coalition sizes of the mean gain at that size."""
    units = every.shape[1]
    without = np.flatnonzero(~every[:, unit])
    sizes = every[without].sum(axis=1)
    weights = 1 / (units * np.array([comb(units - 1, size) for size in range(units)]))
    return float(weights[sizes] @ (values[without | 1 << unit] - values[without]))


def _full(units: int) -> Coalitions:
    return np.ones(units, dtype=np.bool_)


def _empty(units: int) -> Coalitions:
    return np.zeros(units, dtype=np.bool_)


def _distinct(rows: Iterable[Coalitions]) -> tuple[Coalitions, npt.NDArray[np.int64]]:
    """Each row once, in the order of their first coming, and for each given row its number."""
    seen: dict[bytes, int] = {}
    kept: list[Coalitions] = []
    places = []
    for row in rows:
        number = seen.setdefault(row.tobytes(), len(seen))
        if number == len(kept):
            kept.append(row)
        places.append(number)
    return np.stack(kept), np.array(places)
