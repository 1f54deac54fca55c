"""Holding out a seeded fraction of the rows: stratified, and no group on both sides."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from serving.errors import InputError
from trainer.data.rows import Rows


def hold_out(rows: Rows, strata: Sequence[str], fraction: float, seed: int, name: str) -> tuple[Rows, Rows]:
    """The rows that stay, and about ``fraction`` of them as the set ``name``, both in order; raises InputError.

    ``strata`` names each row's stratum, which keeps at least one row.
    """
    held_out: set[int] = set()
    groups = _groups_by_stratum(rows, strata, random.Random(f"{name}/{seed}"))
    quotas = _quotas({label: sum(map(len, of_label)) for label, of_label in groups.items()}, fraction)
    for label, of_label in groups.items():
        held_out.update(_take_groups(of_label, quotas[label]))
    if not held_out:
        raise InputError(
            f"data.{name}: {fraction:g} of {len(rows)} rows holds out none;"
            " give a larger fraction, a file, or more rows with differing texts"
        )
    stay = [at for at in range(len(rows)) if at not in held_out]
    return rows.take(stay), rows.take(sorted(held_out))


def divide_folds(rows: Rows, strata: Sequence[str], count: int, seed: int) -> list[list[int]]:
    """The places of ``count`` parts, each in order, as equal as groups allow, also by stratum; raises InputError."""
    folds: list[list[int]] = [[] for _ in range(count)]
    groups = _groups_by_stratum(rows, strata, random.Random(f"folds/{seed}"))
    for stratum in sorted(groups):
        taken = [0] * count
        for group in groups[stratum]:
            smallest = min(range(count), key=lambda at: (taken[at], len(folds[at])))
            taken[smallest] += len(group)
            folds[smallest] += group
    if not all(folds):
        raise InputError(
            f"data.folds: {len(rows)} rows with {sum(map(len, groups.values()))} differing texts do not fill {count}"
            " folds; give fewer, or more rows"
        )
    return [sorted(fold) for fold in folds]


def _groups_by_stratum(rows: Rows, strata: Sequence[str], rng: random.Random) -> dict[str, list[list[int]]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for at, group in enumerate(rows.groups):
        groups[group].append(at)
    by_stratum: dict[str, list[list[int]]] = defaultdict(list)
    for members in groups.values():
        by_stratum[strata[members[0]]].append(members)
    for stratum in sorted(by_stratum):
        rng.shuffle(by_stratum[stratum])
    return dict(by_stratum)


def _quotas(sizes: dict[str, int], fraction: float) -> dict[str, int]:
    """Rows to hold out of each label, by largest remainder."""
    quotas = {label: int(size * fraction) for label, size in sizes.items()}
    missing = round(sum(sizes.values()) * fraction) - sum(quotas.values())
    by_remainder = sorted(sizes, key=lambda label: (quotas[label] - sizes[label] * fraction, label))
    for label in by_remainder[: max(missing, 0)]:
        quotas[label] += 1
    return quotas


def _take_groups(groups: list[list[int]], quota: int) -> list[int]:
    taken: list[int] = []
    for group in groups[:-1]:
        if len(taken) + len(group) <= quota:
            taken += group
    return taken
