"""Logits in fp32, for evaluation, validation and the proof's reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tokenizers import Encoding
from transformers import PreTrainedTokenizerFast

from serving.observability.progress import track
from serving.tasks.base import Encoded, Logits
from trainer.model.heads import Model
from trainer.model.inputs import longest_first, padder

RowLogits = Sequence[list[Logits]]
"""The logits of each item's windows."""


@torch.inference_mode()
def logits_of(
    model: Model, tokenizer: PreTrainedTokenizerFast, windows: Sequence[Encoding], batch_size: int
) -> list[Logits]:
    """Without those of padding, on the model's device."""
    pad, device = padder(tokenizer), next(model.parameters()).device
    left = tokenizer.padding_side == "left"

    def own(tokens: int) -> slice:
        return slice(-tokens, None) if left else slice(tokens)

    results: list[Logits] = [np.empty(0, dtype=np.float32)] * len(windows)
    batches = longest_first([len(window.ids) for window in windows], batch_size)
    for rows in track("rows", batches, len(windows), len):
        batch = pad([windows[row] for row in rows])
        output = model(**{name: value.to(device) for name, value in batch.items()})["logits"].float().cpu().numpy()
        for row, logits in zip(rows, output, strict=True):
            results[row] = logits if logits.ndim == 1 else logits[own(len(windows[row].ids))]
    return results


def rows_logits(
    model: Model, tokenizer: PreTrainedTokenizerFast, encoded: Sequence[Encoded], batch_size: int
) -> list[list[Logits]]:
    """Of each item's windows."""
    flat = iter(logits_of(model, tokenizer, [window for each in encoded for window in each.windows], batch_size))
    return [[next(flat) for _ in each.windows] for each in encoded]
