"""Static int8: 8-bit weights and activations with fixed scales, so that no row depends on another.

Training rows determine the scales. If too many answers on validation rows differ from the checkpoint's, groups of
layers return to float32, the most sensitive first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from export.proof.judge import Judgement, agrees
from export.variants.calibration import Calibration, Feeds, create_single_thread_session
from export.variants.linear_layers import Array, Group, find_groups
from export.variants.quantize_graph import quantize_layers, quantize_tables
from export.variants.smoothquant import Range, observe_activations, search_range
from serving.errors import UserError

FEEDS_FOR_SENSITIVITY = 64


class VariantFailed(UserError):
    """The model cannot be written as this variant."""


def static_int8(source: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """Write the variant; returns the range of each group and the groups that returned to float32.

    Raises VariantFailed if the graph has no layer to quantize, or if no group keeps enough answers in 8 bits.
    """
    model = onnx.load(str(source))
    groups = find_groups(model)
    if not groups:
        raise VariantFailed("the graph has no inner linear layer to put into 8 bits")
    activations = observe_activations(model, groups, calibration.feeds)
    ranges = {group.input: search_range(group, activations[group.input]) for group in groups}
    reverted, judgement = _quantize_until_accepted(quantize_tables(model), groups, ranges, target, calibration)
    return {
        "calibration": calibration.to_record(),
        "groups": {name: {"alpha": each.alpha, "clip": each.clip} for name, each in ranges.items()},
        "reverted": reverted,
        "validation": {name: getattr(judgement, name) for name in ("answers_equal", "compared", "score")},
    }


def _quantize_until_accepted(
    model: ModelProto, groups: list[Group], ranges: Mapping[str, Range], target: Path, calibration: Calibration
) -> tuple[list[str], Judgement]:
    """Write the graph with ever fewer groups in 8 bits until it is accepted; returns the reverted groups' inputs."""
    remaining, by_sensitivity = groups, list[str]()
    while remaining:
        onnx.save(quantize_layers(model, remaining, ranges), str(target))
        judgement = calibration.judge()
        if agrees(judgement) and judgement.change.change >= -judgement.change.budget:
            return [group.input for group in groups if group not in remaining], judgement
        by_sensitivity = by_sensitivity or _sort_by_sensitivity(model, groups, ranges, calibration.feeds)
        most_sensitive = by_sensitivity[len(groups) - len(remaining)]
        remaining = [group for group in remaining if group.input != most_sensitive]
    raise VariantFailed(
        "no part of the graph can be put into 8 bits: even with one layer, "
        f"{judgement.compared - judgement.answers_equal} of {judgement.compared} validation answers differ from the "
        "checkpoint's"
    )


def _sort_by_sensitivity(
    model: ModelProto, groups: Sequence[Group], ranges: Mapping[str, Range], feeds: Feeds
) -> list[str]:
    """The groups' inputs; first the one that changes the logits most when only this group is in 8 bits."""
    sample = feeds[:FEEDS_FOR_SENSITIVITY]
    exact = _run(model, sample)
    change = {
        group.input: _mean_difference(_run(quantize_layers(model, [group], ranges), sample), exact) for group in groups
    }
    return sorted(change, key=lambda name: -change[name])


def _run(model: ModelProto, feeds: Feeds) -> list[Array]:
    session = create_single_thread_session(model)
    return [session.run(None, feed)[0] for feed in feeds]


def _mean_difference(ours: Sequence[Array], theirs: Sequence[Array]) -> float:
    return float(np.mean([np.abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)]))
