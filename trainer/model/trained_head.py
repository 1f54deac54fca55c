"""The head of a base model that was fine-tuned before: it goes on where its labels are the recipe's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from serving.errors import InputError, shorten
from serving.tasks.base import Task
from trainer.model.architecture import LABELLING, LIBRARY, has_library_head, natural_pooling
from trainer.model.base_model import BaseCheckpoint
from trainer.model.checkpoint import ModelSpec, own_head, read_task
from trainer.model.heads import Head, LibraryModel, Model, head_of, output_layer
from trainer.model.library_heads import describe_unknown, head_layers, own_spec, own_weights
from trainer.model.model_folder import HEAD, weight_files
from trainer.model.refusal import refusing

_MOST_NAMED = 5
_OUTSIDE = "O"


@dataclass(frozen=True)
class TrainedHead:
    """Attributes:
    unit: what a logit of 0 stands for, and a step of 1.
    is_number: of a regression.
    lost: why it cannot go on, whatever the recipe.
    """

    spec: ModelSpec
    labels: list[str]
    unit: tuple[float, float] = (0.0, 1.0)
    is_number: bool = False
    lost: str = ""

    def shape(self, spec: ModelSpec) -> ModelSpec:
        """The recipe's, with this head's dense layers and scaling where it reads the same vectors."""
        old = self.spec
        same = (old.head, old.pooling, old.layers, old.library_head) == (
            spec.head, spec.pooling, spec.layers, spec.library_head,
        )  # fmt: skip
        if not same or old.head == "vector":
            return spec
        return replace(spec, normalized=old.normalized, dense=old.dense)


@dataclass(frozen=True)
class Carried:
    """What goes on of a head.

    Attributes:
        rows: for each new logit the row of the old head; None: a fresh one.
        text: says it.
        partly: some labels have a fresh row, or none any longer.
        fits: the layers before the last one go on too.
    """

    rows: Sequence[int | None]
    text: str
    partly: bool = False
    fits: bool = True


def read_trained_head(base: BaseCheckpoint) -> TrainedHead | None:
    """Of a run's checkpoint, or of a folder that transformers' class for a labelling head has saved."""
    try:
        spec, task, in_unit = read_task(base.folder)
    except InputError:  # none, or another tool's
        return _read_library_head(base)
    if spec.head not in LABELLING:
        return None
    unit = (0.0, 1.0) if in_unit and not spec.own_head else task.unit
    return TrainedHead(spec, task.labels, unit, task.problem_type == "regression")


def _read_library_head(base: BaseCheckpoint) -> TrainedHead | None:
    config = base.config
    head = next((head for head in LABELLING if _class_name(base, head) in (config.architectures or [])), None)
    if head is None:
        return None
    labels = [str(config.id2label[at]) for at in sorted(config.id2label)]
    is_number = config.problem_type == "regression"
    if has_library_head(config, head):
        return TrainedHead(ModelSpec(head, "cls", len(labels)), labels, is_number=is_number)
    weights = _outside_backbone(base, head)
    if layers := head_layers(config, head, weights):
        return TrainedHead(own_spec(config, head, layers, weights), labels, is_number=is_number)
    lost = describe_unknown(config, head, _class_name(base, head))
    return TrainedHead(ModelSpec(head, natural_pooling(config), len(labels), library_head=False), labels, lost=lost)


def plan_head(head: TrainedHead, spec: ModelSpec, task: Task) -> Carried:
    """What a fine-tuning to ``spec`` and ``task`` keeps of a base model's head."""
    fresh: list[int | None] = [None] * spec.logits
    left_out = "the base model's head is left out, and a fresh one is trained"
    if reason := head.lost or _misfit(head.spec, spec):
        return Carried(fresh, f"{left_out}: {reason}", partly=True, fits=False)
    rows = _rows(head, task, spec)
    if rows == fresh:
        reason = f"its labels are {_name(head.labels)}, and those of the rows {_name(task.labels)}"
        return Carried(rows, f"{left_out}: {reason}", partly=True)
    return _describe(head, task, rows)


@torch.no_grad()
def carry_head(model: Model, task: Task, base: BaseCheckpoint, head: TrainedHead, carried: Carried) -> None:
    """Put what goes on into a model with a fresh head; raises InputError where the weights lack it."""
    if not carried.fits:
        return
    parameters, saved, layer = _parameters(model), _saved_weights(base, head), output_layer(model)
    goes_on = any(row is not None for row in carried.rows)
    output = {id(each) for each in layer.parameters()} if layer else set()
    for name, parameter in parameters.items():
        if id(parameter) in output and goes_on:
            old = _require(saved, name, (head.spec.logits, *parameter.shape[1:]), base)
            _copy_rows(parameter, old.double(), carried.rows, head.unit, task.unit)
        elif id(parameter) not in output and (goes_on or name.startswith("dense.")):
            parameter.copy_(_require(saved, name, parameter.shape, base))


def _misfit(old: ModelSpec, new: ModelSpec) -> str:
    if old.head != new.head:
        return f"it is for logits per {old.head}, and the task needs them per {new.head}"
    if old.own_head != new.own_head:
        return f"it reads pooling {old.pooling}, and the recipe has {new.pooling}"
    for name in ("pooling", "layers", "normalized", "dense", "classifier") if new.own_head else ():
        if getattr(old, name) != getattr(new, name):
            before, now = (getattr(spec, name) or "none" for spec in (old, new))
            return f"it was trained with {name} {before}, and the recipe has {now}"
    return ""


def _rows(head: TrainedHead, task: Task, spec: ModelSpec) -> list[int | None]:
    """For each logit the row of the base model's head; None: a fresh one."""
    fresh: list[int | None] = [None] * spec.logits
    is_number = task.problem_type == "regression"
    if head.spec.head == "span":
        return [0, 1]
    if is_number or head.is_number:
        return [0] if is_number and head.is_number else fresh
    if spec.logits != len(task.labels) or head.spec.logits != len(head.labels):  # one logit tells two labels apart
        return [0] if head.labels == task.labels and head.spec.logits == spec.logits else fresh
    places = {label: at for at, label in enumerate(head.labels)}
    return [places.get(label) for label in task.labels] if _shared(head.labels, task.labels) else fresh


def _shared(first: Sequence[str], second: Sequence[str]) -> set[str]:
    return {*first} & {*second} - {_OUTSIDE}


def _parameters(model: Model) -> dict[str, nn.Parameter]:
    """The head's, under the names that they have in files."""
    if not isinstance(model, LibraryModel):
        return dict(own_head(model).named_parameters())
    found = {id(each) for module in head_of(model) for each in module.parameters()}
    return {name: each for name, each in model.model.named_parameters() if id(each) in found}


def _saved_weights(base: BaseCheckpoint, head: TrainedHead) -> dict[str, Tensor]:
    """Raises InputError."""
    if (base.folder / HEAD).is_file() and head.spec.own_head:
        with refusing(base.id, f"{HEAD} cannot be loaded"):
            return load_file(base.folder / HEAD)
    weights = _outside_backbone(base, head.spec.head)
    return own_weights(head_layers(base.config, head.spec.head, weights), weights) if head.spec.own_head else weights


def _outside_backbone(base: BaseCheckpoint, head: Head) -> dict[str, Tensor]:
    """Of a folder that transformers saved; raises InputError."""
    saved: dict[str, Tensor] = {}
    prefix = f"{LIBRARY[head]._model_mapping[type(base.config)].base_model_prefix}."
    for file in weight_files(base.folder, base.id):
        with refusing(base.id, f"{file.name} cannot be loaded"), safe_open(file, "pt") as tensors:
            names = [name for name in tensors.keys() if not name.startswith(prefix)]  # noqa: SIM118 - no mapping
            saved |= {name: tensors.get_tensor(name) for name in names}
    return saved


def _class_name(base: BaseCheckpoint, head: Head) -> str:
    kind: Any = LIBRARY[head]._model_mapping.get(type(base.config), None)
    return kind.__name__ if kind else ""


def _require(saved: dict[str, Tensor], name: str, shape: Sequence[int], base: BaseCheckpoint) -> Tensor:
    if name not in saved or saved[name].shape != tuple(shape):
        raise InputError(
            f"model: {base.id}: the head that its config.json or task.json names is not in its weights, or in another"
            f" shape ({name}); get it again, or choose another base model",
            field="model",
        )
    return saved[name]


def _copy_rows(
    parameter: nn.Parameter,
    saved: Tensor,
    rows: Sequence[int | None],
    old: tuple[float, float],
    new: tuple[float, float],
) -> None:
    """A weight or a bias, in the new unit of a regression."""
    shift = old[0] - new[0] if saved.ndim == 1 else 0.0
    for to, row in enumerate(rows):
        if row is not None:
            parameter[to] = (saved[row] * old[1] + shift) / new[1]


def _describe(head: TrainedHead, task: Task, rows: Sequence[int | None]) -> Carried:
    if head.is_number or head.spec.head == "span" or head.labels == task.labels:
        return Carried(rows, "the base model's head goes on")
    fresh = [label for label in task.labels if label not in head.labels]
    dropped = [label for label in head.labels if label not in task.labels]
    told = "the base model's head goes on"
    told += f" for {_name([label for label in task.labels if label in head.labels])}"
    told += f"; fresh: {_name(fresh)}" if fresh else ""
    told += f"; left out: {_name(dropped)}" if dropped else ""
    return Carried(rows, told, partly=bool(fresh or dropped))


def _name(labels: Sequence[str]) -> str:
    named = ", ".join(shorten(repr(label), 40) for label in labels[:_MOST_NAMED])
    return named + (f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else "")
