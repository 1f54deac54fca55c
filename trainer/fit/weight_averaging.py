"""The mean of the weights at the ends of the last epochs.

It often beats each of them (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization";
Kaddour 2022, "Stop Wasting My Time!"). The epochs are files, so that a resumed run averages the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.run.processes import is_first, wait

FOLDER = "epochs"


class EpochWeights(TrainerCallback):  # type: ignore[misc]
    """Writes the trainable weights at the ends of the last ``count`` epochs."""

    def __init__(self, state: Path, count: int, epochs: int) -> None:
        self.folder = state / FOLDER
        self.epochs = range(epochs - count + 1, epochs + 1)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        epoch = round(state.epoch or 0)
        if epoch in self.epochs and is_first():
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.folder / "partial"
            save_file({name: weight.detach().contiguous() for name, weight in _trainable(model)}, partial)
            partial.replace(self._file(epoch))

    def mean(self) -> dict[str, Tensor]:
        wait()
        return mean_of([load_file(self._file(epoch)) for epoch in self.epochs])

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch}.safetensors"


def mean_of(models: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor, summed in float64."""
    return {
        name: torch.stack([model[name].double() for model in models]).mean(dim=0).to(first.dtype)
        for name, first in models[0].items()
    }


def copy_trainable(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in _trainable(model)}


def put_trainable(model: nn.Module, weights: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, weight in _trainable(model):
            weight.copy_(weights[name])


def _trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
