"""Holding out a fraction of the rows, no group on both sides: at random, seeded and stratified, or the latest."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import InputError
from trainer.data.rows import Rows, number_groups

Integers = NDArray[np.integer[Any]]
Pair = tuple[Rows, Rows]


def hold_out(rows: Rows, strata: Sequence[str], fraction: float, seed: int, name: str) -> tuple[Rows, Rows]:
    """The rows that stay, and about ``fraction`` of them as the set ``name``, both in order; raises InputError.

    ``strata`` names each row's stratum, which keeps at least one row; of rows that have times, the latest are taken.
    """
    if len(rows.times):
        return _hold_out_latest(rows, fraction, name)
    rng = random.Random(f"{name}/{seed}")
    if len(rows.units):
        held_out = _choose_units(rows, strata, fraction, rng)
        return _divide(rows, ~held_out, held_out, fraction, name)
    groups = _Groups.of(rows, strata, rng)
    quotas = _quotas({stratum: groups.rows_of(stratum) for stratum in groups.by_stratum}, fraction)
    held_out = np.zeros(len(rows), dtype=np.bool_)
    for stratum in groups.by_stratum:
        for group in groups.up_to(stratum, quotas[stratum]):
            held_out[groups.members(group)] = True
    return _divide(rows, ~held_out, held_out, fraction, name)


def _choose_units(rows: Rows, strata: Sequence[str], fraction: float, rng: random.Random) -> NDArray[np.bool_]:
    """Which rows are held out: those of each unit, in a random order, that brings the strata nearer to their shares.

    A unit may have rows of several strata, and of any number. Each stratum keeps a row.
    """
    groups = _Groups.of(rows, [""] * len(rows), rng)
    sizes, taken = Counter(strata), Counter[str]()
    chosen = np.zeros(len(rows), dtype=np.bool_)
    for group in groups.by_stratum[""]:
        members = groups.members(group)
        counts = Counter(strata[at] for at in members)
        # the sum of squared distances to the quotas, each over its quota, must become smaller
        change = sum(
            n * (2 * (taken[s] / (fraction * sizes[s]) - 1) + n / (fraction * sizes[s])) for s, n in counts.items()
        )
        if change < 0 and all(taken[s] + n < sizes[s] for s, n in counts.items()):
            taken.update(counts)
            chosen[members] = True
    return chosen


def _divide(rows: Rows, stay: NDArray[np.bool_], held: NDArray[np.bool_], fraction: float, name: str) -> Pair:
    if not held.any() or not stay.any():
        found, other = ("all", "smaller") if held.any() else ("none", "larger")
        differing = "texts" + (" and groups" if len(rows.units) else " and times" if len(rows.times) else "")
        raise InputError(
            f"data.{name}: {fraction:g} of {len(rows)} rows holds out {found};"
            f" give a {other} fraction, a file, or more rows with differing {differing}"
        )
    places = (array("i", np.flatnonzero(side).astype(np.int32).tobytes()) for side in (stay, held))
    before, after = map(rows.take, places)
    return before, after


def _hold_out_latest(rows: Rows, fraction: float, name: str) -> Pair:
    """Rows of one time stay together; the latest ones of a group that has earlier rows are in neither part."""
    times = np.asarray(rows.times)
    held = times >= _first_held_out(times, fraction)
    groups = number_groups(rows.groups)
    known = held & np.isin(groups, groups[~held])
    return _divide(rows, ~held, held & ~known, fraction, name)


def _first_held_out(times: NDArray[np.float64], fraction: float) -> float:
    """The time from which on about ``fraction`` of the rows are; past the last one where there is a single time."""
    distinct, firsts = np.unique(np.sort(times), return_index=True)
    if len(distinct) < 2:
        return np.inf
    shares = 1 - firsts[1:] / len(times)
    return float(distinct[1:][np.abs(shares - fraction).argmin()])


def divide_folds(rows: Rows, strata: Sequence[str], count: int, seed: int) -> list[list[int]]:
    """The places of ``count`` parts, each in order, as equal as groups allow, also by stratum; raises InputError."""
    folds: list[list[int]] = [[] for _ in range(count)]
    groups = _Groups.of(rows, strata, random.Random(f"folds/{seed}"))
    for stratum in sorted(groups.by_stratum):
        taken = [0] * count
        for group in groups.by_stratum[stratum]:
            members = groups.members(group).tolist()
            smallest = min(range(count), key=lambda at: (taken[at], len(folds[at])))
            taken[smallest] += len(members)
            folds[smallest] += members
    if not all(folds):
        raise InputError(
            f"data.folds: {len(rows)} rows with {len(groups.sizes)} differing texts do not fill {count}"
            " folds; give fewer, or more rows"
        )
    return [sorted(fold) for fold in folds]


@dataclass(frozen=True)
class _Groups:
    """Groups by their numbers, in arrays: there may be millions.

    Attributes:
        order: the rows' places, those of one group together.
        ends, sizes: [groups], of each in ``order``.
        by_stratum: the groups in a random order; a stratum's name is that of its groups' first rows.
    """

    order: Integers
    ends: Integers
    sizes: Integers
    by_stratum: dict[str, array[int]]

    @classmethod
    def of(cls, rows: Rows, strata: Sequence[str], rng: random.Random) -> _Groups:
        numbers = _joined_groups(rows)
        order, sizes = np.argsort(numbers, kind="stable").astype(np.int32), np.bincount(numbers)
        ends = np.cumsum(sizes)
        is_first = np.zeros(len(rows), dtype=np.bool_)
        is_first[order[ends - sizes]] = True
        by_stratum: dict[str, array[int]] = {}
        for group, stratum in enumerate(compress(strata, is_first)):
            by_stratum.setdefault(stratum, array("i")).append(group)
        for stratum in sorted(by_stratum):
            rng.shuffle(by_stratum[stratum])
        return cls(order, ends, sizes, by_stratum)

    def members(self, group: int) -> Integers:
        return self.order[self.ends[group] - self.sizes[group] : self.ends[group]]

    def rows_of(self, stratum: str) -> int:
        return int(self.sizes[self.by_stratum[stratum]].sum())

    def up_to(self, stratum: str, quota: int) -> Iterator[int]:
        """Groups of at most ``quota`` rows in all, without the last group."""
        groups, taken = self.by_stratum[stratum], 0
        for group, size in zip(groups[:-1], self.sizes[groups[:-1]].tolist(), strict=True):
            if taken + size <= quota:
                taken += size
                yield group


def _joined_groups(rows: Rows) -> NDArray[np.int32]:
    """A number for each row; rows of one group or of one unit, directly or by way of others, have the same."""
    texts = number_groups(rows.groups)
    if not len(rows.units):
        return texts
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    units = number_groups([at if unit is None else unit for at, unit in enumerate(rows.units)]) + texts.max() + 1
    size = int(units.max()) + 1
    links = coo_array((np.ones(len(rows), dtype=np.int8), (texts, units)), shape=(size, size))
    return number_groups(connected_components(links, directed=False)[1][texts].tolist())


def _quotas(sizes: dict[str, int], fraction: float) -> dict[str, int]:
    """Rows to hold out of each label, by largest remainder."""
    quotas = {label: int(size * fraction) for label, size in sizes.items()}
    missing = round(sum(sizes.values()) * fraction) - sum(quotas.values())
    by_remainder = sorted(sizes, key=lambda label: (quotas[label] - sizes[label] * fraction, label))
    for label in by_remainder[: max(missing, 0)]:
        quotas[label] += 1
    return quotas
