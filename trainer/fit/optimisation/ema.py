"""An exponential moving average of the weights (Polyak and Juditsky 1992, as deep learning has it).

The first steps count less than ``decay`` says, or a short training's average would be its first weights: after ``t``
steps the decay is at most (1 + t) / (10 + t), as TensorFlow's ExponentialMovingAverage has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.fit.weight_averaging import copy_trainable

FILE = "ema.safetensors"


class WeightEma(TrainerCallback):  # type: ignore[misc]
    """Of the weights that are trainable when the training begins; part of its state."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        self.weights = self.weights or copy_trainable(model)

    @torch.no_grad()
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        decay = min(self.decay, (1 + state.global_step) / (10 + state.global_step))
        now = dict(model.named_parameters())
        for name, weight in self.weights.items():
            weight.lerp_(now[name].detach(), 1 - decay)

    def save(self, folder: Path) -> None:
        save_file({name: weight.contiguous() for name, weight in self.weights.items()}, folder / FILE)

    def load(self, folder: Path, device: torch.device) -> None:
        self.weights = load_file(folder / FILE, device=str(device))
