"""A backbone whose frozen linear layers have 4 bits a weight while adapters learn (QLoRA, Dettmers et al. 2023)."""

from __future__ import annotations

from typing import Any

from torch import nn

from serving.errors import InputError
from trainer.model.four_bits.library import FIELD, layer_class, require_bitsandbytes
from trainer.recipe.training import Lora


def quantise(backbone: nn.Module, lora: Lora) -> None:
    """Put 4-bit layers in the place of the backbone's linear ones; raises InputError."""
    require_bitsandbytes()
    layer, output, settings = layer_class(), _output_layer(backbone), lora.resolve()
    linear = [each for each in _children(backbone) if type(each[2]) is nn.Linear and each[2] is not output]
    if not linear:
        name = type(backbone).__name__
        raise InputError(f"{FIELD}: {name} has no linear layer that could have 4 bits; leave it out", field=FIELD)
    for parent, name, child in linear:
        setattr(parent, name, layer.of(child, settings))
    _mark(backbone, True)


def dequantise(backbone: nn.Module) -> None:
    """Put linear layers in fp32 in their place, which compute the same."""
    layer = layer_class()
    for parent, name, child in _children(backbone):
        if isinstance(child, layer):
            setattr(parent, name, child.to_linear())
    _mark(backbone, False)


def is_quantised(backbone: nn.Module) -> bool:
    """Also of one with adapters, which answer for what they adapt."""
    return bool(getattr(backbone, "is_loaded_in_4bit", False))


def _mark(backbone: nn.Module, in_4bit: bool) -> None:
    setattr(backbone, "is_loaded_in_4bit", in_4bit)  # noqa: B010 - peft asks for it; no attribute of a Module otherwise


def _children(module: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    return [(parent, name, child) for parent in module.modules() for name, child in parent.named_children()]


def _output_layer(backbone: nn.Module) -> Any:
    """Of a model that generates: it may share its weights with the embeddings."""
    find = getattr(backbone, "get_output_embeddings", None)
    return find() if find else None
