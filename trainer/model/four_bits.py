"""A backbone whose frozen linear layers have 4 bits a weight while adapters are trained (QLoRA, Dettmers et al. 2023)."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from torch import nn

from serving.errors import InputError
from trainer.recipe.training import Lora

FIELD = "training.lora.load_in_4bit"
_ADVICE = "pip install 'tuneship[qlora]', or leave it out: LoRA with training.bf16: true takes more memory"


def require_bitsandbytes() -> None:
    """Raises InputError where 4-bit layers cannot be made."""
    try:
        version = importlib.metadata.version("bitsandbytes")
    except importlib.metadata.PackageNotFoundError:
        message = f"{FIELD}: needs the package bitsandbytes, which is not installed; {_ADVICE}"
        raise InputError(message, field=FIELD) from None
    try:
        _layer_class()
    except Exception as error:  # whatever its native library finds wrong with the machine
        message = f"{FIELD}: bitsandbytes {version} does not work here: {error}; {_ADVICE}"
        raise InputError(message, field=FIELD) from error


def quantise(backbone: nn.Module, lora: Lora) -> None:
    """Put 4-bit layers in the place of the backbone's linear ones; raises InputError."""
    require_bitsandbytes()
    layer, output = _layer_class(), _output_layer(backbone)
    linear = [each for each in _children(backbone) if type(each[2]) is nn.Linear and each[2] is not output]
    if not linear:
        name = type(backbone).__name__
        raise InputError(f"{FIELD}: {name} has no linear layer that could have 4 bits; leave it out", field=FIELD)
    for parent, name, child in linear:
        setattr(parent, name, layer.of(child, lora))
    setattr(backbone, "is_loaded_in_4bit", True)  # noqa: B010 - peft asks for it; no attribute of a Module otherwise


def dequantise(backbone: nn.Module) -> None:
    """Put linear layers in fp32 in their place, which compute the same."""
    layer = _layer_class()
    for parent, name, child in _children(backbone):
        if isinstance(child, layer):
            setattr(parent, name, child.to_linear())
    setattr(backbone, "is_loaded_in_4bit", False)  # noqa: B010


def _children(module: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    return [(parent, name, child) for parent in module.modules() for name, child in parent.named_children()]


def _output_layer(backbone: nn.Module) -> Any:
    """Of a model that generates: it may share its weights with the embeddings."""
    find = getattr(backbone, "get_output_embeddings", None)
    return find() if find else None


def _layer_class() -> Any:
    """Imported when it is needed: bitsandbytes loads a native library."""
    from trainer.model.four_bit_layer import FrozenLinear4bit

    return FrozenLinear4bit
