"""The mean of the weights at the ends of the last epochs, which often answers better than any of them.

Weights that one training passes through at a high learning rate lie around the middle of a wide valley of the loss
(Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization"; over epochs of an ordinary
schedule: Kaddour 2022, "Stop Wasting My Time!"). Each epoch's weights are a file beside the states that an interrupted
run resumes from, so that a resumed run averages the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

FOLDER = "epochs"


class EpochWeights(TrainerCallback):  # type: ignore[misc]
    """Keeps what has been learned by the end of each of the last ``count`` epochs, in files below ``state``."""

    def __init__(self, state: Path, count: int, epochs: int) -> None:
        self.folder = state / FOLDER
        self.epochs = range(epochs - count + 1, epochs + 1)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        """Write the epoch's weights."""
        epoch = round(state.epoch or 0)
        if epoch in self.epochs:
            self.folder.mkdir(parents=True, exist_ok=True)
            aside = self.folder / "partial"
            save_file({name: weight.detach().contiguous() for name, weight in _learned(model)}, aside)
            aside.replace(self._file(epoch))

    def weights(self) -> dict[str, Tensor]:
        """The mean of the kept weights, each tensor summed in float64."""
        return mean_of([load_file(self._file(epoch)) for epoch in self.epochs])

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch}.safetensors"


def mean_of(models: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor over models of the same form, summed in float64."""
    return {
        name: torch.stack([model[name].double() for model in models]).mean(dim=0).to(first.dtype)
        for name, first in models[0].items()
    }


def learned_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights that training changes."""
    return {name: weight.detach().clone() for name, weight in _learned(model)}


def put_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Write such weights back into their model."""
    with torch.no_grad():
        for name, weight in _learned(model):
            weight.copy_(weights[name])


def _learned(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
