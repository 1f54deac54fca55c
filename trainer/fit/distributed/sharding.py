"""FSDP2: weights, gradients and the optimiser's moments are divided among the processes (torch's ``fully_shard``).

accelerate's own way to it refuses CPUs, and keeps states that no single process can go on from. Here a state is whole,
as one process writes it. The weights are also whole for validation, in each process.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer

from trainer.model.heads import Model, backbone_of
from trainer.model.layers import stacks_of
from trainer.run.processes import count, is_first

State = dict[str, Any]


class ShardedModel:
    """``model``'s weights from now on are this process's parts of them; a group a layer is whole while it computes."""

    def __init__(self, model: Model, device: torch.device) -> None:
        nowhere = {id(each): _without_values(each) for each in model.parameters()}
        self._form = copy.deepcopy(model, nowhere)
        self.model = model
        mesh = init_device_mesh(device.type, (count(),))
        for stack in stacks_of(backbone_of(model)):
            for layer in stack:
                fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)

    def gather(self) -> Model:
        """A model with all weights, in each process."""
        weights = get_model_state_dict(self.model, options=StateDictOptions(full_state_dict=True))
        values = {
            id(weight): nn.Parameter(cast(Tensor, weights[name]), requires_grad=weight.requires_grad)
            for name, weight in self._form.named_parameters()
        }
        return copy.deepcopy(self._form, values).train(self.model.training)  # weights that layers share stay shared


class WholeOptimizer:
    """An optimizer of divided weights, to save and load: its state is as one process writes it."""

    def __init__(self, model: nn.Module, optimizer: Any) -> None:
        self._model = model
        self._state: State = {}
        self._optimizer: Optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate's wrapper has it inside

    def gather(self) -> None:
        """All processes at once, before the first one asks for the state."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state = get_optimizer_state_dict(self._model, self._optimizer, options=options)
        numbers = {name: at for at, name in enumerate(self._names())}
        self._state = _renamed(state, numbers) if is_first() else {}

    def state_dict(self) -> State:
        return self._state

    def load_state_dict(self, state: State) -> None:
        """Every process has all of it."""
        named = _renamed(state, dict(enumerate(self._names())))
        set_optimizer_state_dict(self._model, self._optimizer, named, options=StateDictOptions(full_state_dict=True))

    def _names(self) -> Iterator[str]:
        """Of the weights, in the optimizer's order."""
        names = {id(weight): name for name, weight in self._model.named_parameters()}
        for group in self._optimizer.param_groups:
            yield from (names[id(weight)] for weight in group["params"])


def _without_values(weight: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(torch.empty_like(weight, device="meta"), requires_grad=weight.requires_grad)


def _renamed(state: State, names: Mapping[Any, Any]) -> State:
    moments: dict[Any, dict[str, Tensor]] = {names[key]: value for key, value in state["state"].items()}
    groups = [{**group, "params": [names[key] for key in group["params"]]} for group in state["param_groups"]]
    return {"state": moments, "param_groups": groups}
