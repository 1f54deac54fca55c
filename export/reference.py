"""The independent reference of the proof: transformers' tokenizer and the torch checkpoint, nothing of serving's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from serving.tasks.text_classification import Logits
from trainer.model import load_checkpoint

BATCH_SIZE = 32


class Reference:
    """Answers as the trained checkpoint does."""

    def __init__(self, folder: Path) -> None:
        self._checkpoint = load_checkpoint(folder)
        self.labels = self._checkpoint.labels

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, truncated to the checkpoint's ``max_length``, not padded."""
        ids: list[list[int]] = self._tokenizer_output(texts)["input_ids"]
        return ids

    def logits(self, texts: Sequence[str]) -> Logits:
        """Logits, shape [texts, labels], float32."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        result = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            result[rows] = self._forward([texts[row] for row in rows])
        return result

    @torch.inference_mode()
    def _forward(self, texts: Sequence[str]) -> Logits:
        encoded = self._tokenizer_output(texts, padding=True, return_tensors="pt")
        logits: Logits = self._checkpoint.model(**encoded)["logits"].numpy()
        return logits

    def _tokenizer_output(self, texts: Sequence[str], **options: object):  # type: ignore[no-untyped-def]
        checkpoint = self._checkpoint
        return checkpoint.tokenizer(list(texts), truncation=True, max_length=checkpoint.max_length, **options)
