"""Facts about this machine that a run records: versions, processor, threads, seconds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import time
from collections.abc import Iterator
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
_ROOMS = ("serving", "trainer")


class Stopwatch:
    """Seconds of each named stage, in the order in which they began."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as ``name``."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - start, 3)


def versions() -> dict[str, str]:
    """Python's and the libraries' versions."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def sources() -> str:
    """sha256 over the sources that training runs: the rooms serving and trainer, file by file."""
    root = Path(__file__).parents[2]
    files = sorted(path for room in _ROOMS for path in (root / room).rglob("*.py"))
    lines = (f"{path.relative_to(root).as_posix()} {sha256_of(path)}" for path in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hardware() -> dict[str, Any]:
    """The machine as `serving.bundle.cpu` tells it, its cores, torch's threads, the accelerator if there is one."""
    return {
        **describe_machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def computes_in_bf16() -> bool:
    """Whether training is faster in bfloat16 than in fp32 here: AMX, or a GPU with bfloat16 units.

    AVX512-BF16 alone is not enough: its dot products are no faster than Intel's fp32 ones, and autocast adds the casts
    (a training step of MiniLM took one and a half times as long). The processor decides, not a stopwatch, so that a
    machine always trains in the same numbers.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))
