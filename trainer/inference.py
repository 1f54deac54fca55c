"""A model's logits and answers, in fp32, as evaluation, validation and the proof's reference have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Encoding
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Logits, Task
from trainer.batches import encode, longest_first, padded_by
from trainer.heads import Model
from trainer.rows import Rows

if TYPE_CHECKING:
    from trainer.tasks.base import Learning

ROWS_AT_ONCE = 1024
"""Rows whose logits are in memory together; of all others only the answers are."""


@torch.inference_mode()
def logits_of(
    model: Model, tokenizer: PreTrainedTokenizerFast, windows: Sequence[Encoding], batch_size: int
) -> list[Logits]:
    """The logits of each window, in order, without those of padding, on the device where the model is."""
    pad, device = padded_by(tokenizer), next(model.parameters()).device
    found: list[Logits] = [np.empty(0, dtype=np.float32)] * len(windows)
    for rows in longest_first([len(window.ids) for window in windows], batch_size):
        batch = pad([windows[row] for row in rows])
        output = model(**{name: value.to(device) for name, value in batch.items()})["logits"].float().cpu().numpy()
        for row, logits in zip(rows, output, strict=True):
            found[row] = logits if logits.ndim == 1 else logits[_place(len(windows[row].ids), len(logits), tokenizer)]
    return found


def rows_logits(
    model: Model, tokenizer: PreTrainedTokenizerFast, encoded: Sequence[Encoded], batch_size: int
) -> list[list[Logits]]:
    """The logits of each item's windows."""
    flat = iter(logits_of(model, tokenizer, [window for each in encoded for window in each.windows], batch_size))
    return [[next(flat) for _ in each.windows] for each in encoded]


def answers_to(
    model: Model, tokenizer: PreTrainedTokenizerFast, learning: Learning, task: Task, rows: Rows, batch_size: int
) -> list[Any]:
    """The answer to each row."""
    items = [learning.items(task, inputs) for inputs in rows.inputs]
    found: list[Any] = []
    for start in range(0, len(items), ROWS_AT_ONCE):
        some = items[start : start + ROWS_AT_ONCE]
        answers = iter(_answers(model, tokenizer, task, [item for each in some for item in each], batch_size))
        found += [learning.answer([next(answers) for _ in each]) for each in some]
    return found


def _answers(
    model: Model, tokenizer: PreTrainedTokenizerFast, task: Task, items: Sequence[Any], batch_size: int
) -> Iterator[Any]:
    encoded = encode(tokenizer, task, items)
    logits = rows_logits(model, tokenizer, encoded, batch_size)
    return (task.decode(each, windows) for each, windows in zip(encoded, logits, strict=True))


def _place(length: int, longest: int, tokenizer: PreTrainedTokenizerFast) -> slice:
    return slice(length) if tokenizer.padding_side == "right" else slice(longest - length, None)
