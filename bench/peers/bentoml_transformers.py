"""A peer: BentoML with transformers and torch, as in its guides. BENCH_CHECKPOINT names the checkpoint's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import torch

from trainer.model.checkpoint import load_checkpoint


@bentoml.service(name="bentoml-transformers", workers=1, logging={"access": {"enabled": False}})
class Classifier:
    def __init__(self) -> None:
        torch.set_num_threads(1)
        # No AutoModel class reads a mean-pooled checkpoint; the project's loader does.
        self.checkpoint = load_checkpoint(Path(os.environ["BENCH_CHECKPOINT"]))

    @bentoml.api(batchable=True, max_batch_size=32)  # type: ignore[untyped-decorator]
    def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        encoded = self.checkpoint.tokenizer(
            texts, padding=True, truncation=True, max_length=self.checkpoint.max_length, return_tensors="pt"
        )
        with torch.inference_mode():
            scores, indices = self.checkpoint.model(**encoded)["logits"].softmax(dim=-1).max(dim=-1)
        best = zip(indices.tolist(), scores.tolist(), strict=True)
        return [{"label": self.checkpoint.labels[index], "score": score} for index, score in best]
