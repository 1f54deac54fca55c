"""Static int8: scales are fixed by training rows, so that no row depends on another.

Where too many validation answers change, groups of layers return to float32, the most sensitive first, and as few as it
takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from export.graphs.graph_file import load_graph, save_graph
from export.proof.prove import Judgement
from export.variants.activations import observe_activations
from export.variants.calibration import SEED, Calibration, Feeds, create_single_thread_session
from export.variants.linear_layers import Array, Group, find_groups
from export.variants.quantize_graph import quantize_layers, quantize_tables
from export.variants.smoothquant import search_range
from serving.errors import UserError
from serving.observability.progress import track

FEEDS_FOR_SENSITIVITY = 64

Quantize = Callable[[ModelProto, Sequence[Group]], ModelProto]
"""A copy of a graph, with these groups in 8 bits."""


class VariantFailed(UserError):
    """The model cannot be written as this variant."""


def static_int8(source: Path, target: Path, calibration: Calibration, *, unsigned: bool = False) -> dict[str, Any]:
    """``unsigned``: see `quantize_layers`.

    Raises VariantFailed if there is nothing to quantize, or no group keeps enough answers.
    """
    model = load_graph(source)
    groups = find_groups(model, source.parent)
    if not groups:
        raise VariantFailed("the graph has no inner linear layer to put into 8 bits")
    observed = observe_activations(model, groups, calibration.feeds, source.parent)
    searched = track("8-bit ranges of layers", observed, len(groups))
    ranges = {group.input: search_range(group, activations) for group, activations in searched}
    tables = quantize_tables(model, source.parent)
    quantize = partial(quantize_layers, ranges=ranges, unsigned=unsigned)
    reverted, judgement = _quantize_until_accepted(tables, source, groups, quantize, target, calibration)
    return {
        "calibration": {
            f"{calibration.split}_rows": len(calibration.feeds),
            "seed": SEED,
            "judged_by": "validation rows",
        },
        "groups": {name: {"alpha": each.alpha, "clip": each.clip} for name, each in ranges.items()},
        "reverted": reverted,
        "validation": {name: getattr(judgement, name) for name in ("answers_equal", "compared", "score")},
    }


def _quantize_until_accepted(
    model: ModelProto,
    source: Path,
    groups: list[Group],
    quantize: Quantize,
    target: Path,
    calibration: Calibration,
) -> tuple[list[str], Judgement]:
    """Returns the inputs of the reverted groups."""
    judgements: dict[int, Judgement] = {}

    @cache
    def by_sensitivity() -> list[str]:
        return _sort_by_sensitivity(model, source.parent, groups, quantize, calibration.feeds)

    def write(count: int) -> list[str]:
        reverted = by_sensitivity()[:count] if count else []
        remaining = [group for group in groups if group.input not in reverted]
        save_graph(quantize(model, remaining), target, source)
        return [group.input for group in groups if group.input in reverted]

    def accepts(count: int) -> bool:
        write(count)
        judgements[count] = judgement = calibration.judge()
        return judgement.passed and not judgement.drops_too_much

    fewest = find_fewest(accepts, len(groups) - 1)
    if fewest is None:
        judgement = judgements[len(groups) - 1]
        raise VariantFailed(
            "no part of the graph can be put into 8 bits: even with one layer, on validation rows, "
            + ("; ".join(judgement.failures) or f"{judgement.metric} falls too far")
        )
    return write(fewest), judgements[fewest]


def find_fewest(accepts: Callable[[int], bool], most: int) -> int | None:
    """The fewest of 0 to ``most`` that are accepted, if all above them are: doubled until they are, then bisected."""
    refused, tried = -1, 0
    while not accepts(tried):
        if tried == most:
            return None
        refused, tried = tried, min(max(1, 2 * tried), most)
    while tried - refused > 1:
        middle = (tried + refused) // 2
        refused, tried = (refused, middle) if accepts(middle) else (middle, tried)
    return tried


def _sort_by_sensitivity(
    model: ModelProto, folder: Path, groups: Sequence[Group], quantize: Quantize, feeds: Feeds
) -> list[str]:
    sample = feeds[:FEEDS_FOR_SENSITIVITY]
    exact = _run(model, folder, sample)
    change = {
        group.input: _mean_difference(_run(quantize(model, [group]), folder, sample), exact)
        for group in track("sensitivity of layers", groups, len(groups))
    }
    return sorted(change, key=lambda name: -change[name])


def _run(model: ModelProto, folder: Path, feeds: Feeds) -> list[Array]:
    session = create_single_thread_session(model, folder)
    return [session.run(None, feed)[0] for feed in feeds]


def _mean_difference(ours: Sequence[Array], theirs: Sequence[Array]) -> float:
    return float(np.mean([np.abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)]))
