"""Bounds on the model that transformers builds from a config, before its weights are read into it.

Torch announces each module, weight and buffer that a module gets, so that no key of a config needs to be known.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules import module

from serving.errors import InputError
from trainer.model.model_folder import Weights

_PARTS_A_TENSOR, _MOST_PARTS_BESIDES = 16, 20_000
_MOST_BUFFER_ELEMENTS = 2**28
"""Beside as many as the weights have: 1 GB of fp32."""


@contextmanager
def bounded(model: str, weights: Weights) -> Iterator[None]:
    """Raise InputError inside the block as soon as a model has far more parts than its ``weights``."""
    most_parts = _PARTS_A_TENSOR * weights.tensors + _MOST_PARTS_BESIDES
    most_elements = weights.elements + _MOST_BUFFER_ELEMENTS
    parts, elements = 0, 0

    def note(_module: Any, _name: str, part: Any) -> None:
        nonlocal parts, elements
        parts += 1
        elements += part.numel() if type(part) is torch.Tensor else 0
        if parts > most_parts or elements > most_elements:
            raise InputError(
                f"model: {model}: its config.json asks for far more than the {weights.tensors} tensors of its weights;"
                " get it again, or choose another base model",
                field="model",
            )

    handles = [
        module.register_module_module_registration_hook(note),
        module.register_module_parameter_registration_hook(note),
        module.register_module_buffer_registration_hook(note),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
