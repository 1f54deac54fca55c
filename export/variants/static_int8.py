"""Static int8: scales are fixed by training rows, so that no row depends on another.

While too many validation answers change, groups of layers return to float32, the most sensitive first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from export.variants.smoothquant import Range, search_range
from serving.errors import UserError

FEEDS_FOR_SENSITIVITY = 64


class VariantFailed(UserError):
    """The model cannot be written as this variant."""


def static_int8(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """Raises VariantFailed if there is nothing to quantize, or no group keeps enough answers."""
    model = load_graph(source)
    groups = find_groups(model, source.parent)
    if not groups:
        raise VariantFailed("the graph has no inner linear layer to put into 8 bits")
    activations = observe_activations(model, groups, calibration.feeds, source.parent)
    ranges = {group.input: search_range(group, activations[group.input]) for group in groups}
    tables = quantize_tables(model, source.parent)
    reverted, judgement = _quantize_until_accepted(tables, source, groups, ranges, target, calibration)
    return {
        "calibration": {"training_rows": len(calibration.feeds), "seed": SEED, "judged_by": "validation rows"},
        "groups": {name: {"alpha": each.alpha, "clip": each.clip} for name, each in ranges.items()},
        "reverted": reverted,
        "validation": {name: getattr(judgement, name) for name in ("answers_equal", "compared", "score")},
    }


def _quantize_until_accepted(
    model: ModelProto,
    source: Path,
    groups: list[Group],
    ranges: Mapping[str, Range],
    target: Path,
    calibration: Calibration,
) -> tuple[list[str], Judgement]:
    """Returns the inputs of the reverted groups."""
    remaining, by_sensitivity = groups, list[str]()
    while remaining:
        save_graph(quantize_layers(model, remaining, ranges), target, source)
        judgement = calibration.judge()
        if judgement.passed and judgement.change.change >= -judgement.change.budget:
            return [group.input for group in groups if group not in remaining], judgement
        by_sensitivity = by_sensitivity or _sort_by_sensitivity(model, source.parent, groups, ranges, calibration.feeds)
        most_sensitive = by_sensitivity[len(groups) - len(remaining)]
        remaining = [group for group in remaining if group.input != most_sensitive]
    raise VariantFailed(
        "no part of the graph can be put into 8 bits: even with one layer, on validation rows, "
        + ("; ".join(judgement.failures) or f"{judgement.metric} falls by {-judgement.change.change:.3g}")
    )


def _sort_by_sensitivity(
    model: ModelProto, folder: Path, groups: Sequence[Group], ranges: Mapping[str, Range], feeds: Feeds
) -> list[str]:
    sample = feeds[:FEEDS_FOR_SENSITIVITY]
    exact = _run(model, folder, sample)
    change = {
        group.input: _mean_difference(_run(quantize_layers(model, [group], ranges), folder, sample), exact)
        for group in groups
    }
    return sorted(change, key=lambda name: -change[name])


def _run(model: ModelProto, folder: Path, feeds: Feeds) -> list[Array]:
    session = create_single_thread_session(model, folder)
    return [session.run(None, feed)[0] for feed in feeds]


def _mean_difference(ours: Sequence[Array], theirs: Sequence[Array]) -> float:
    return float(np.mean([np.abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)]))
