"""What each weight learns at, and whether it decays."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from torch import nn

from trainer.model.heads import Model, backbone_of, head_of
from trainer.model.layers import distances_from_top
from trainer.recipe.training import Training


def parameter_groups(model: Model, settings: Training, decayed: Set[str]) -> list[dict[str, Any]]:
    """An optimiser's groups; that of ``learning_rate`` comes first, as a run tells the first one's rate."""
    rates, peak = learning_rates(model, settings), settings.learning_rate
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            groups.setdefault((rates.get(id(weight), peak), name in decayed), []).append(weight)
    return [
        {"params": weights, "lr": rate, "weight_decay": settings.weight_decay * has_decay}
        for (rate, has_decay), weights in sorted(groups.items(), key=lambda group: group[0][0] != peak)
    ]


def learning_rates(model: Model, settings: Training) -> dict[int, float]:
    """By a weight's id, where it is not ``learning_rate``.

    A layer's rate is ``layerwise_lr_decay`` times that of the next one (Clark et al. 2020, "ELECTRA"; Bao et al. 2022,
    "BEiT"). The last layer has ``learning_rate``, the head its own.
    """
    decay, head_rate = settings.layerwise_lr_decay, settings.resolve().head_learning_rate
    distances = distances_from_top(backbone_of(model), "training.layerwise_lr_decay") if decay else {}
    rates = {weight: settings.learning_rate * (decay or 1.0) ** distance for weight, distance in distances.items()}
    head = {id(weight): float(head_rate or 0.0) for module in head_of(model) for weight in module.parameters()}
    return rates | head
