"""What other tools find in a checkpoint: the whole model, or an error that says what to do, and never a random head."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel

from serving.tasks.base import Task
from trainer.model.architecture import LIBRARY, backbone_class
from trainer.model.heads import LibraryModel, OwnModel, has_own_head, output_layer

NOTICE = "Only the backbone is here"
"""How the name of an empty tensor begins: transformers lists unknown names in the report that comes with its error."""

DRAWING = (
    *LIBRARY.values(),
    transformers.AutoModel,
    transformers.AutoModelForMaskedLM,
    transformers.AutoModelForMultipleChoice,
    transformers.AutoModelForNextSentencePrediction,
    transformers.AutoModelForPreTraining,
)
"""The classes that draw at random what a folder lacks."""


def save_backbone(model: OwnModel, task: Task, folder: Path) -> None:
    """Without the head, for ``AutoModel``; transformers' classes that have a head refuse it."""
    backbone: PreTrainedModel = model.backbone
    headed = has_own_head(model)
    obstacles = _obstacles(backbone, DRAWING if headed else [transformers.AutoModel])
    backbone.save_pretrained(folder, state_dict=backbone.state_dict() | obstacles)
    backbone.config.problem_type = task.problem_type
    if headed:
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
    _put(layer, weight.cpu().double() * std, bias.cpu().double() * std + mean)  # Apple's GPU has no float64
    yield
    _put(layer, weight, bias)


@torch.no_grad()
def _put(layer: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)


def _obstacles(backbone: PreTrainedModel, kinds: Iterable[Any]) -> dict[str, Tensor]:
    """Empty tensors under names of what transformers would draw at random: their shape is an error."""
    found = (kind._model_mapping.get(type(backbone.config), ()) for kind in kinds)
    classes = {each for kind in found for each in (kind if isinstance(kind, tuple) else (kind,))}
    names = {name for kind in classes for name in _lacking(kind, backbone)[-1:]}
    if not names:
        return {}
    notice = (
        f"{NOTICE}. Its head is in head.safetensors, which Tuneship alone reads: serve the run by tuneship export, or"
        f" load the backbone by {backbone_class(backbone.config).__name__}"
    )
    return {name: torch.zeros(0) for name in (*sorted(names), notice)}


def _lacking(kind: type[PreTrainedModel], backbone: PreTrainedModel) -> list[str]:
    """The weights that the class has beside the backbone's, and does not tie to them."""
    config = copy.deepcopy(backbone.config)
    config.num_labels = 2  # DistilBERT's class for answers takes no other number
    with torch.device("meta"):
        whole = kind(config)
    prefix, tied = f"{whole.base_model_prefix}.", whole.all_tied_weights_keys
    ours = backbone.state_dict()
    names: list[str] = [*whole.state_dict()]
    return [name for name in names if name not in tied and name.removeprefix(prefix) not in ours]
