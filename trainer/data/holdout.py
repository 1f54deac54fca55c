"""Holding out a seeded fraction of the rows: stratified, and no group on both sides."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import InputError
from trainer.data.rows import Rows, number_groups

Integers = NDArray[np.integer[Any]]


def hold_out(rows: Rows, strata: Sequence[str], fraction: float, seed: int, name: str) -> tuple[Rows, Rows]:
    """The rows that stay, and about ``fraction`` of them as the set ``name``, both in order; raises InputError.

    ``strata`` names each row's stratum, which keeps at least one row.
    """
    groups = _Groups.of(rows, strata, random.Random(f"{name}/{seed}"))
    quotas = _quotas({stratum: groups.rows_of(stratum) for stratum in groups.by_stratum}, fraction)
    held_out = np.zeros(len(rows), dtype=np.bool_)
    for stratum in groups.by_stratum:
        for group in groups.up_to(stratum, quotas[stratum]):
            held_out[groups.members(group)] = True
    if not held_out.any():
        raise InputError(
            f"data.{name}: {fraction:g} of {len(rows)} rows holds out none;"
            " give a larger fraction, a file, or more rows with differing texts"
        )
    stay, held = (array("i", np.flatnonzero(side).astype(np.int32).tobytes()) for side in (~held_out, held_out))
    return rows.take(stay), rows.take(held)


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
        numbers = number_groups(rows.groups)
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


def _quotas(sizes: dict[str, int], fraction: float) -> dict[str, int]:
    """Rows to hold out of each label, by largest remainder."""
    quotas = {label: int(size * fraction) for label, size in sizes.items()}
    missing = round(sum(sizes.values()) * fraction) - sum(quotas.values())
    by_remainder = sorted(sizes, key=lambda label: (quotas[label] - sizes[label] * fraction, label))
    for label in by_remainder[: max(missing, 0)]:
        quotas[label] += 1
    return quotas
