"""Checkpoints as others leave them: transformers' own task models, of `tests.zoo`'s families, with random heads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABELS = ("cancel", "refund", "track")
TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def make_checkpoint(backbone: Path, folder: Path, head: str, labels: Sequence[str] = LABELS, **config: Any) -> Path:
    """``head``: a key of `trainer.model.architecture.LIBRARY`; ``config`` are keys of config.json."""
    import torch
    from transformers import AutoConfig, AutoTokenizer

    from trainer.model.architecture import LIBRARY

    torch.manual_seed(2)
    named: dict[str, Any] = {
        "id2label": dict(enumerate(labels)),
        "label2id": {name: at for at, name in enumerate(labels)},
    }
    settings = AutoConfig.from_pretrained(backbone, **(named if head in ("sequence", "token") else {}), **config)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    model = LIBRARY[head].from_pretrained(backbone, config=settings, dtype=torch.float32)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if not name.startswith(f"{model.base_model_prefix}."):
                weights.add_(torch.randn_like(weights) * 0.3)  # a fresh head would answer all texts alike
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
