"""bitsandbytes, an extra: whether it is there and works, and its import without code of the hub's."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from serving.errors import InputError
from trainer.recipe.training import Lora, Training

FIELD = "training.lora.load_in_4bit"
_ADVICE = "leave it out: LoRA in bfloat16 (training.bf16: true) needs more memory, and no such package"


def require_four_bits(training: Training) -> None:
    """Raise InputError where the recipe needs bitsandbytes and it is missing, or does not work on this machine."""
    if training.in_4bit:
        require_bitsandbytes()


def require_bitsandbytes() -> None:
    """Raise InputError."""
    if find_spec("bitsandbytes") is None:
        message = f"{FIELD}: needs bitsandbytes, which is not installed; pip install 'tuneship[qlora]', or {_ADVICE}"
        raise InputError(message, field=FIELD)
    try:
        _try_out()
    except Exception as error:  # whatever its native library finds wrong with the machine
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{FIELD}: bitsandbytes does not work here ({reason}); {_ADVICE}", field=FIELD) from error


def import_peft() -> Any:
    """peft imports bitsandbytes wherever it is installed, also for adapters of plain layers."""
    with _without_hub_kernels():
        if find_spec("bitsandbytes"):
            import_module("bitsandbytes")
        return import_module("peft")


def layer_class() -> Any:
    """`trainer.model.four_bits.layer.FrozenLinear4bit`."""
    with _without_hub_kernels():
        from trainer.model.four_bits.layer import FrozenLinear4bit
    return FrozenLinear4bit


def _try_out() -> None:
    layer = layer_class().of(nn.Linear(64, 64), Lora(load_in_4bit=True).resolve())
    layer(torch.ones(1, 64, requires_grad=True)).sum().backward()


@contextlib.contextmanager
def _without_hub_kernels() -> Iterator[None]:
    """Where the package kernels is installed, bitsandbytes would fetch a library from the hub and run it.

    Where it is not, its warning asks for it.
    """
    logger, missing = logging.getLogger("bitsandbytes"), object()
    level, kernels = logger.level, sys.modules.get("kernels", missing)
    logger.setLevel(logging.ERROR)
    sys.modules["kernels"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        logger.setLevel(level)
        if kernels is missing:
            del sys.modules["kernels"]
        else:
            sys.modules["kernels"] = kernels  # type: ignore[assignment]
