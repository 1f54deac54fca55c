"""Holding out a fraction of the rows: seeded, even over the labels, and never the same text on both sides."""

from __future__ import annotations

import random
from collections import defaultdict

from serving.errors import InputError
from trainer.rows import Rows, plain


def hold_out(rows: Rows, fraction: float, seed: int, name: str) -> tuple[Rows, Rows]:
    """Split ``rows`` into those that stay and about ``fraction`` of them that are held out as ``name``.

    Every label keeps at least one row on the staying side. Both sides keep the order of ``rows``.
    Raises InputError when the fraction leaves nothing to hold out.
    """
    held: set[int] = set()
    groups = _groups_by_label(rows, random.Random(f"{name}/{seed}"))
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


def _groups_by_label(rows: Rows, rng: random.Random) -> dict[str, list[list[int]]]:
    """Rows of the same text together, shuffled, under the label of their first."""
    same_text: dict[str, list[int]] = defaultdict(list)
    for at, text in enumerate(rows.texts):
        same_text[plain(text)].append(at)
    by_label: dict[str, list[list[int]]] = defaultdict(list)
    for group in same_text.values():
        by_label[rows.labels[group[0]]].append(group)
    for label in sorted(by_label):
        rng.shuffle(by_label[label])
    return dict(by_label)


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
