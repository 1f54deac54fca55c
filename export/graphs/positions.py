"""Rotary positions that transformers computes anew in every pass."""

from __future__ import annotations

from torch import nn

from trainer.model.architecture import BATCH_DEPENDENT_ROPE


def freeze_positions(module: nn.Module) -> None:
    """Keep the frequencies of short texts, which a trace cannot follow through a change.

    They are right for every text that passes: `trainer.model.architecture.most_positions` ends where they change.
    """
    for each in module.modules():
        kind = vars(each).get("rope_type")
        if isinstance(kind, dict):  # by kind of layer
            vars(each)["rope_type"] = {layer: _frozen(name) for layer, name in kind.items()}
        elif isinstance(kind, str):
            vars(each)["rope_type"] = _frozen(kind)


def _frozen(kind: str) -> str:
    return "default" if kind in BATCH_DEPENDENT_ROPE else kind
