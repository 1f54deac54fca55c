"""How large a model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn


def measure_size(model: nn.Module, checkpoint: Path) -> dict[str, Any]:
    """``parameters``, and ``checkpoint_bytes`` of its files."""
    return {
        "parameters": sum(each.numel() for each in model.parameters()),
        "checkpoint_bytes": sum(file.stat().st_size for file in checkpoint.rglob("*") if file.is_file()),
    }
