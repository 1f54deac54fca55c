"""Weights on the line from the base model's to the fine-tuned ones, which often answer better than its end.

A short fine-tuning stays in the base model's valley of the loss: a step back from its end keeps what was learned and
drops some of what was only memorised (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models": WiSE-FT, whose
mixing coefficient is the fraction here). Only the backbone goes back: the base model has no weights for a classifier.
Nothing is trained, so that there is nothing to resume.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from trainer.fit.trainer import TaskTrainer
from trainer.model.heads import backbone_of

FRACTIONS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""How far from the base model's weights (0) to the fine-tuned ones (1): what is tried, and in this order."""


def interpolate(trainer: TaskTrainer, base: nn.Module) -> dict[str, Any]:
    """Leave the model at the fraction that validation prefers; returns what the record says of it.

    Scores within one standard error of the best are one score, as so many rows cannot tell them apart, and of those
    fractions the one of the lowest loss is taken (after the rule of Breiman et al. 1984, "Classification and Regression
    Trees"). ``base`` is the backbone before training, the trained one's adapters are merged.
    """
    backbone, metric = backbone_of(trainer.model), trainer.args.metric_for_best_model
    start, end = _weights(base), _weights(backbone)
    tried = {}
    for fraction in FRACTIONS:
        _put(backbone, start, end, fraction)
        tried[fraction] = trainer.validated()
    enough = _as_good_as(max(scores[metric] for scores in tried.values()), len(trainer.datasets.validation_rows))
    chosen = min(
        (fraction for fraction in FRACTIONS if tried[fraction][metric] >= enough),
        key=lambda fraction: tried[fraction]["loss"],
    )
    _put(backbone, start, end, chosen)
    return {
        "fraction": chosen,
        "validation": {str(fraction): scores[metric] for fraction, scores in tried.items()},
        "losses": {str(fraction): scores["loss"] for fraction, scores in tried.items()},
    }


def _as_good_as(best: float, rows: int) -> float:
    """The lowest score within a standard error of the best, that of a share of so many rows."""
    share = min(max(best, 0.0), 1.0)
    return best - math.sqrt(share * (1 - share) / rows)


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


def _put(module: nn.Module, start: dict[str, Tensor], end: dict[str, Tensor], fraction: float) -> None:
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(torch.lerp(start[name].to(weight.device), end[name], fraction))
