"""``torch_compile``: the training steps run as compiled code. Validation and what is saved stay as they are."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from serving.errors import InputError, shorten

_OPTIONS: dict[str, Any] = {"dynamic": True, "options": {"fallback_random": True}}
"""One graph for all lengths of texts; dropout draws what it would without compiling."""


def compile_steps(model: nn.Module) -> nn.Module:
    """The same weights under the same names, seen through compiled code."""
    return cast(nn.Module, torch.compile(model, **_OPTIONS))


def require_compiler(device: torch.device) -> None:
    """Raises InputError."""
    try:
        torch.compile(lambda values: values.sin() + 1, **_OPTIONS)(torch.ones(3, device=device))
    except Exception as error:  # torch has a kind for each compiler and backend
        torch.compiler.reset()
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"training.torch_compile: torch cannot compile here ({shorten(first, 120)}); install a C++ compiler such as"
            " g++, on a GPU triton too, or leave it out",
            field="training.torch_compile",
        ) from error
