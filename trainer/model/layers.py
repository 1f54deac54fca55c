"""A backbone's layers, and how far below the last one a weight is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

from serving.errors import InputError

_EMBEDDING = re.compile(r"emb|wte|wpe|shared")


def layers_of(backbone: nn.Module, field: str = "training.trainable: last_layers") -> nn.ModuleList:
    """In order: the longest list of modules; raises InputError."""
    lists = [module for module in backbone.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise InputError(f"{field}: the base model has no list of layers", field="training")
    return max(lists, key=len)


def distances_from_top(backbone: nn.Module, field: str) -> dict[int, int]:
    """By a weight's id: 0 for the last layer and what is behind it, the number of layers for the embeddings.

    The layers of an encoder and of its decoder are counted each from their own last one. Raises InputError where the
    layers share their weights.
    """
    count = len(layers_of(backbone, field))
    if count == 1 and getattr(backbone.config, "num_hidden_layers", 1) > 1:
        raise InputError(f"{field}: the base model's layers share their weights; leave it out", field=field)
    distances: dict[int, int] = {}
    for stack in stacks_of(backbone):
        for distance, layer in enumerate(reversed(stack)):
            distances |= {id(weight): distance for weight in layer.parameters()}
    outside = ((name, weight) for name, weight in backbone.named_parameters() if id(weight) not in distances)
    return distances | {id(weight): count if _EMBEDDING.search(name) else 0 for name, weight in outside}


def stacks_of(module: nn.Module) -> Iterator[nn.ModuleList]:
    """The lists of modules that are in no other list."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from stacks_of(child)
