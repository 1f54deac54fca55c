"""A model's logits and answers, in fp32, as evaluation, validation and the proof's reference have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tokenizers import Encoding
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Logits, content_slice
from trainer.model.heads import Model
from trainer.model.inputs import longest_first, padded_by


@torch.inference_mode()
def logits_of(
    model: Model, tokenizer: PreTrainedTokenizerFast, windows: Sequence[Encoding], batch_size: int
) -> list[Logits]:
    """The logits of each window, in order, without those of padding, on the device where the model is."""
    pad, side, device = padded_by(tokenizer), tokenizer.padding_side, next(model.parameters()).device
    found: list[Logits] = [np.empty(0, dtype=np.float32)] * len(windows)
    for rows in longest_first([len(window.ids) for window in windows], batch_size):
        batch = pad([windows[row] for row in rows])
        output = model(**{name: value.to(device) for name, value in batch.items()})["logits"].float().cpu().numpy()
        for row, logits in zip(rows, output, strict=True):
            found[row] = logits if logits.ndim == 1 else logits[content_slice(len(windows[row].ids), len(logits), side)]
    return found


def rows_logits(
    model: Model, tokenizer: PreTrainedTokenizerFast, encoded: Sequence[Encoded], batch_size: int
) -> list[list[Logits]]:
    """The logits of each item's windows."""
    flat = iter(logits_of(model, tokenizer, [window for each in encoded for window in each.windows], batch_size))
    return [[next(flat) for _ in each.windows] for each in encoded]
