"""The peer: the same checkpoint served by BentoML with transformers and torch, as BentoML's own guides show it.

A batchable endpoint, one torch thread, inference mode, batches padded to their longest text. The checkpoint's folder is
read from BENCH_CHECKPOINT. It answers the best label only, which is less than what it is measured against does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import torch

from trainer.model import load_checkpoint


@bentoml.service(name="bentoml-transformers", workers=1)
class Classifier:
    """Text classification."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        # A mean-pooled checkpoint has no AutoModelForSequenceClassification; the project's own loader reads both kinds.
        self.checkpoint = load_checkpoint(Path(os.environ["BENCH_CHECKPOINT"]))

    @bentoml.api(batchable=True, max_batch_size=32)
    @torch.inference_mode()
    def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """The best label of each text and its probability."""
        checkpoint = self.checkpoint
        encoded = checkpoint.tokenizer(
            texts, padding=True, truncation=True, max_length=checkpoint.max_length, return_tensors="pt"
        )
        scores, indices = checkpoint.model(**encoded)["logits"].softmax(dim=-1).max(dim=-1)
        return [
            {"label": checkpoint.labels[index], "score": score}
            for index, score in zip(indices.tolist(), scores.tolist(), strict=True)
        ]
