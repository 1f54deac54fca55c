"""What training depends on outside the recipe."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from serving.bundle.bundle import sha256_of
from serving.bundle.cpu import describe_machine
from trainer.model.device import accelerator_name
from trainer.run.processes import count

_LIBRARIES = (
    "torch", "transformers", "datasets", "tokenizers", "safetensors", "accelerate", "peft", "numpy", "scipy",
    "scikit-learn",
)  # fmt: skip
_IF_INSTALLED = ("bitsandbytes",)
_PACKAGES = ("serving", "stores", "trainer")


@cache
def versions() -> dict[str, str]:
    names = [*_LIBRARIES, *(name for name in _IF_INSTALLED if find_spec(name))]
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


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
        "accelerator": accelerator_name(),
        **({"processes": count()} if count() > 1 else {}),
    }


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
