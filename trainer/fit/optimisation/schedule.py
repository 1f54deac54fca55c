"""The learning rate from step to step, by transformers' schedules."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from transformers import get_scheduler

from serving.errors import InputError
from trainer.recipe.training import Training

_NAMES = {"constant": "constant_with_warmup"}
_DECAYING = 0.2
"""The share of the steps that warmup_stable_decay decays in (Hägele et al. 2024, "Scaling laws … beyond fixed training
durations")."""


def create_schedule(settings: Training, optimizer: Optimizer, steps: int, warmup: int) -> LRScheduler:
    """Of so many ``steps`` in all; raises InputError where they are too few."""
    kind = settings.lr_scheduler_type
    options = settings.lr_scheduler_kwargs.to_arguments() if settings.lr_scheduler_kwargs else {}
    if kind == "reduce_lr_on_plateau":
        return ReduceLROnPlateau(optimizer, mode="max", **options)  # every metric that can choose is better if higher
    warmup = min(warmup, steps - 1)  # or no step would have a learning rate
    if kind == "warmup_stable_decay":
        options.setdefault("num_decay_steps", max(1, round(_DECAYING * steps)))
        _require_room(steps, warmup, options["num_decay_steps"])
    if kind == "cosine_with_restarts":
        options["num_cycles"] = int(options["num_cycles"])
    scheduler: LRScheduler = get_scheduler(_NAMES.get(kind, kind), optimizer, warmup, steps, options)
    return scheduler


def _require_room(steps: int, warmup: int, decay: int) -> None:
    if warmup + decay > steps:
        raise InputError(
            f"training.lr_scheduler_kwargs.num_decay_steps: {warmup} steps of warmup and {decay} of decay are more than"
            f" the training's {steps}; give at most {steps - warmup}",
            field="training.lr_scheduler_kwargs.num_decay_steps",
        )
