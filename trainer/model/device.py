"""Where a model runs: as transformers' Trainer chooses, an NVIDIA GPU, Apple's, or the CPU."""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def accelerator_name() -> str | None:
    """None: there is none."""
    kind = best_device().type
    if kind == "cpu":
        return None
    return str(torch.cuda.get_device_name()) if kind == "cuda" else "Apple GPU (mps)"
