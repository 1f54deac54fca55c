"""Warnings about targets and prompts that are longer than what a generating model is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class LengthLimits(NamedTuple):
    """In tokens: of a training example, of a served answer, and of all that the model can read."""

    max_length: int
    max_new_tokens: int
    positions: int | None = None


def length_warnings(inputs: Sequence[int], targets: Sequence[int], limits: LengthLimits, together: bool) -> list[str]:
    """``inputs`` and ``targets``, with their ends, are in tokens; ``together``: both share a window."""
    warnings = [
        _cut_together(inputs, targets, limits) if together else _cut_targets(targets, limits),
        _longer_than_answers(targets, limits.max_new_tokens),
    ]
    return [warning for warning in warnings if warning]


def _cut_targets(targets: Sequence[int], limits: LengthLimits) -> str:
    cut = [length for length in targets if length > limits.max_length]
    if not cut:
        return ""
    return (
        f"{len(cut)} of {len(targets)} training targets are longer than data.max_length ({limits.max_length} tokens):"
        f" their ends are cut off, and where an answer ends is not learned from them; {_remedy(max(cut), limits)}"
    )


def _cut_together(inputs: Sequence[int], targets: Sequence[int], limits: LengthLimits) -> str:
    most = limits.max_length
    needed = [sum(pair) for pair in zip(inputs, targets, strict=True)]
    if max(needed, default=0) <= most:
        return ""
    cut = sum(length > most for length in needed)
    answers = sum(length > most - 1 for length in targets)
    parts = [
        f"{cut} of {len(needed)} training rows are longer than data.max_length ({most} tokens for prompt and"
        " completion): the beginning of the prompt is cut off"
    ]
    if answers:
        parts.append(f"of {answers} the completion's end too, and where an answer ends is not learned from them")
    return f"{', '.join(parts)}; {_remedy(max(needed), limits)}"


def _remedy(needed: int, limits: LengthLimits) -> str:
    if limits.positions is not None and needed > limits.positions:
        return f"the longest needs {needed} tokens, and the model reads at most {limits.positions}: shorten them"
    return f"set data.max_length: {needed} to learn them whole"


def _longer_than_answers(targets: Sequence[int], most: int) -> str:
    longer = [length for length in targets if length > most]
    if not longer:
        return ""
    return (
        f"{len(longer)} of {len(targets)} training targets have more tokens than data.max_new_tokens ({most}), so that"
        f" unasked an answer ends before; the longest has {max(longer)}"
    )
