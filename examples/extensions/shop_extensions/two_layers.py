"""A head: two layers in the place of one. A recipe names it model_head.head."""

from __future__ import annotations

from torch import nn


def two_layers(width: int, logits: int) -> nn.Module:
    """From vectors [..., width] to [..., logits], of operations that ONNX has too."""
    return nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Dropout(0.1), nn.Linear(width // 2, logits))
