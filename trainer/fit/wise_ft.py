"""WiSE-FT: backbone weights between the base model's and the fine-tuned ones.

A step back drops some of what was only memorised (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"; its
mixing coefficient is ``fraction``). The head stays, as the base model has none.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from trainer.fit.trainer import TaskTrainer
from trainer.model.heads import backbone_of

FRACTIONS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""The mixtures tried, from the fine-tuned weights (1) towards the base model's (0)."""


def interpolate(trainer: TaskTrainer, base: nn.Module) -> dict[str, Any]:
    """Leave the model at the fraction that validation prefers; returns the run's record of it.

    Of the fractions within one standard error of the best score, the one with the lowest loss is taken (Breiman et al.
    1984, "Classification and Regression Trees"). ``base`` is the untrained backbone; adapters must be merged.
    """
    backbone, metric = backbone_of(trainer.model), trainer.args.metric_for_best_model
    start, end = _copy(base), _copy(backbone)
    tried = {}
    for fraction in FRACTIONS:
        _put(backbone, start, end, fraction)
        tried[fraction] = trainer.validate()
    best = max(metrics[metric] for metrics in tried.values())
    lowest = best - _standard_error(best, len(trainer.datasets.validation_rows))
    candidates = [fraction for fraction in FRACTIONS if tried[fraction][metric] >= lowest]
    fraction = min(candidates, key=lambda fraction: tried[fraction]["loss"])
    _put(backbone, start, end, fraction)
    return {
        "fraction": fraction,
        "validation": {str(fraction): metrics[metric] for fraction, metrics in tried.items()},
        "losses": {str(fraction): metrics["loss"] for fraction, metrics in tried.items()},
    }


def _standard_error(score: float, rows: int) -> float:
    share = min(max(score, 0.0), 1.0)
    return math.sqrt(share * (1 - share) / rows)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


def _put(module: nn.Module, start: dict[str, Tensor], end: dict[str, Tensor], fraction: float) -> None:
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(torch.lerp(start[name].to(weight.device), end[name], fraction))
