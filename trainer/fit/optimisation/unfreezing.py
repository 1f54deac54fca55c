"""Gradual unfreezing: the head learns first, then layer by layer from the last one down, then the embeddings.

What the base model knows is not overwritten by the gradients of a head that knows nothing yet (Howard and Ruder 2018,
"Universal Language Model Fine-tuning for Text Classification").
"""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.model.heads import Model, backbone_of, head_of
from trainer.model.layers import distances_from_top


class GradualUnfreezing(TrainerCallback):  # type: ignore[misc]
    """Each epoch trains so many layers more. Between epochs every weight is trainable, as other callbacks expect.

    The first epoch trains the head alone, or the first layers where the task has no head.
    """

    def __init__(self, model: Model, layers_an_epoch: int) -> None:
        distances = distances_from_top(backbone_of(model), "training.gradual_unfreezing")
        weights = [weight for weight in backbone_of(model).parameters() if weight.requires_grad]
        self._weights = [(weight, distances[id(weight)]) for weight in weights]
        self._layers_an_epoch = layers_an_epoch
        self._headless = not any(True for module in head_of(model) for _ in module.parameters())

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        epochs = math.floor(state.epoch or 0) + self._headless
        for weight, distance in self._weights:
            weight.requires_grad_(distance < epochs * self._layers_an_epoch)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        for weight, _distance in self._weights:
            weight.requires_grad_(True)
