"""Static int8: 8-bit weights and activations, every scale fixed beforehand, so that no row depends on another.

The scales are chosen on training rows. On the validation rows it must then give nearly all of the checkpoint's answers
and keep its score; where it does not, the layers that disturb the logits most go back to float32, group by group.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from export.proof.judge import Judgement, agrees
from export.variants.calibration import Calibration, Feeds, session_of
from export.variants.linear_layers import Array, Group, groups_of
from export.variants.quantize_graph import quantized, with_small_tables
from export.variants.smoothquant import Range, best_range, facts, observe
from serving.errors import InputError

FEEDS_FOR_SENSITIVITY = 64


def static_int8(fp32: Path, target: Path, calibration: Calibration) -> dict[str, Any]:
    """Write the variant; gives what was chosen for each group and which groups were reverted.

    Raises InputError where the graph has no layer to quantize, or only float32 throughout would hold.
    """
    model = onnx.load(str(fp32))
    groups = groups_of(model)
    if not groups:
        raise InputError("the graph has no linear layer inside that 8 bits could speed up")
    seen = observe(model, groups, calibration.feeds)
    ranges = {group.input: best_range(group, seen[group.input]) for group in groups}
    base = with_small_tables(model)
    reverted, judged = _fitted(base, groups, ranges, target, calibration)
    return {
        "calibration": calibration.record,
        "groups": facts(ranges),
        "reverted": reverted,
        "validation": {"answers_equal": judged.answers_equal, "compared": judged.compared, "score": judged.score},
    }


def _fitted(
    model: ModelProto, groups: list[Group], ranges: dict[str, Range], target: Path, calibration: Calibration
) -> tuple[list[str], Judgement]:
    """Write ever fewer groups in 8 bits, until the gates hold on the validation rows; gives those that went back."""
    kept, worst_first = groups, list[str]()
    while kept:
        onnx.save(quantized(model, kept, ranges), str(target))
        judged = calibration.judge()
        if agrees(judged) and judged.change.change >= -judged.change.budget:
            return [group.input for group in groups if group not in kept], judged
        worst_first = worst_first or _by_sensitivity(model, groups, ranges, calibration.feeds)
        kept = [group for group in kept if group.input != worst_first[len(groups) - len(kept)]]
    raise InputError(
        "no part of the graph can be put into 8 bits: even with one layer, "
        f"{judged.compared - judged.answers_equal} of {judged.compared} validation answers differ from the checkpoint's"
    )


def _by_sensitivity(model: ModelProto, groups: Sequence[Group], ranges: dict[str, Range], feeds: Feeds) -> list[str]:
    """The groups' inputs, first the one that, alone in 8 bits, changes the logits most."""
    some = feeds[:FEEDS_FOR_SENSITIVITY]
    wanted = _outputs(model, some)
    change = {group.input: _change(_outputs(quantized(model, [group], ranges), some), wanted) for group in groups}
    return sorted(change, key=lambda name: -change[name])


def _outputs(model: ModelProto, feeds: Feeds) -> list[Array]:
    session = session_of(model)
    return [session.run(None, feed)[0] for feed in feeds]


def _change(found: Sequence[Array], wanted: Sequence[Array]) -> float:
    return float(np.mean([np.abs(ours - theirs).mean() for ours, theirs in zip(found, wanted, strict=True)]))
