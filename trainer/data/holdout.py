"""Holding out a fraction of the rows: seeded, even over the labels, and never one group on both sides."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from serving.errors import InputError
from trainer.data.rows import Rows


def hold_out(rows: Rows, strata: Sequence[str], fraction: float, seed: int, name: str) -> tuple[Rows, Rows]:
    """Split ``rows`` into those that stay and about ``fraction`` of them that are held out as ``name``.

    Every stratum (``strata``: a name a row, its label) keeps at least one row on the staying side. Both sides keep
    the order of ``rows``.
    Raises InputError when the fraction leaves nothing to hold out.
    """
    held: set[int] = set()
    groups = _groups_by_stratum(rows, strata, random.Random(f"{name}/{seed}"))
    quotas = _quotas({label: sum(map(len, of_label)) for label, of_label in groups.items()}, fraction)
    for label, of_label in groups.items():
        held.update(_fill(of_label, quotas[label]))
    if not held:
        raise InputError(
            f"data.{name}: {fraction:g} of {len(rows)} rows holds out none;"
            " give a larger fraction, a file, or more rows with differing texts"
        )
    stay = [at for at in range(len(rows)) if at not in held]
    return rows.take(stay), rows.take(sorted(held))


def _groups_by_stratum(rows: Rows, strata: Sequence[str], rng: random.Random) -> dict[str, list[list[int]]]:
    """Rows of one group together, shuffled, under the stratum of their first."""
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
    """Rows to hold out of each label, by largest remainder, so that they add up to the fraction of all."""
    quotas = {label: int(size * fraction) for label, size in sizes.items()}
    missing = round(sum(sizes.values()) * fraction) - sum(quotas.values())
    by_remainder = sorted(sizes, key=lambda label: (quotas[label] - sizes[label] * fraction, label))
    for label in by_remainder[: max(missing, 0)]:
        quotas[label] += 1
    return quotas


def _fill(groups: list[list[int]], quota: int) -> list[int]:
    """Whole groups up to ``quota`` rows; the last group always stays."""
    taken: list[int] = []
    for group in groups[:-1]:
        if len(taken) + len(group) <= quota:
            taken += group
    return taken
