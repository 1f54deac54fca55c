"""What training depends on outside the recipe."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from serving.bundle.bundle import sha256_of
from serving.bundle.cpu import describe_machine

_LIBRARIES = (
    "torch", "transformers", "datasets", "tokenizers", "safetensors", "accelerate", "peft", "numpy", "scipy",
    "scikit-learn",
)  # fmt: skip
_PACKAGES = ("serving", "stores", "trainer")


@cache
def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def sources() -> str:
    """The sha256 of the packages that training runs."""
    root = Path(__file__).parents[2]
    files = sorted(path for package in _PACKAGES for path in (root / package).rglob("*.py"))
    lines = (f"{path.relative_to(root).as_posix()} {sha256_of(path)}" for path in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hardware() -> dict[str, Any]:
    return {
        **describe_machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def computes_in_bf16() -> bool:
    """Whether bfloat16 trains faster than fp32: with AMX, or bfloat16 units of a GPU.

    AVX512-BF16's dot products are no faster than fp32's. The hardware decides, not a measurement, so that a machine
    always trains in the same precision.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))
