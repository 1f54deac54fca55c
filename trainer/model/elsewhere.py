"""What other tools find in a checkpoint: the whole model, or an error that says what to do, and never a random head."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from serving.tasks.base import Task
from trainer.model.architecture import LABELLING, LIBRARY
from trainer.model.heads import LibraryModel, OwnModel, has_own_head, output_layer

NOTICE = (
    "Only the backbone is here. Its head is in head.safetensors, which Tuneship alone reads: serve the run by tuneship"
    " export, or load the backbone by AutoModel"
)
"""The name of an empty tensor: transformers lists unknown names in the report that comes with its error."""


def save_backbone(model: OwnModel, task: Task, folder: Path) -> None:
    """Without the head, for ``AutoModel``; transformers' classes that have a head refuse it."""
    backbone: PreTrainedModel = model.backbone
    obstacles = _obstacles(backbone) if has_own_head(model) else {}
    backbone.save_pretrained(folder, state_dict=backbone.state_dict() | obstacles)
    backbone.config.problem_type = task.problem_type
    if obstacles:
        backbone.config.architectures = [f"Tuneship{type(model).__name__}"]  # pipelines load a class that is named here
    backbone.config.save_pretrained(folder)


def save_whole(model: LibraryModel, task: Task, folder: Path) -> None:
    """For ``AutoModelFor…``, whose answers are the task's before calibration and thresholds."""
    model.config.problem_type = task.problem_type
    with _in_unit(model, task):
        model.model.save_pretrained(folder)


def standardise(model: LibraryModel, task: Task) -> None:
    """Undo what `save_whole` does to the logits of a regression."""
    layer, (mean, std) = output_layer(model), task.unit
    if layer is not None and layer.bias is not None:
        _put(layer, layer.weight.double() / std, (layer.bias.double() - mean) / std)


@contextmanager
def _in_unit(model: LibraryModel, task: Task) -> Iterator[None]:
    """Inside the block the logits of a regression are numbers in the data's unit, not standard scores."""
    layer, (mean, std) = output_layer(model), task.unit
    if layer is None or layer.bias is None or (mean, std) == (0.0, 1.0):
        yield
        return
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    _put(layer, weight.double() * std, bias.double() * std + mean)
    yield
    _put(layer, weight, bias)


@torch.no_grad()
def _put(layer: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)


def _obstacles(backbone: PreTrainedModel) -> dict[str, Tensor]:
    """Empty tensors under names of the heads that transformers would draw at random: their shape is an error."""
    classes = [LIBRARY[head]._model_mapping.get(type(backbone.config), None) for head in LABELLING]
    names = [_last_name(kind, backbone) for kind in classes if kind]
    return {name: torch.zeros(0) for name in (*names, NOTICE)}


def _last_name(kind: type[PreTrainedModel], backbone: PreTrainedModel) -> str:
    """Of the weights that the class has beside the backbone's."""
    config = copy.deepcopy(backbone.config)
    config.num_labels = 2  # DistilBERT's class for answers takes no other number
    with torch.device("meta"):
        whole = kind(config)
    ours, prefix = backbone.state_dict(), f"{whole.base_model_prefix}."
    names: list[str] = [*whole.state_dict()]
    return [name for name in names if name not in ours and not name.startswith(prefix)][-1]
