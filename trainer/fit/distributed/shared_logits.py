"""Validation in several processes: each computes the logits of a share of the windows, and has all in the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Logits
from trainer.model.heads import Model
from trainer.model.inference import logits_of, rows_logits
from trainer.run.processes import count, gather, rank


def shared_rows_logits(
    model: Model, tokenizer: PreTrainedTokenizerFast, encoded: Sequence[Encoded], batch_size: int
) -> list[list[Logits]]:
    """Of each item's windows, as `rows_logits` gives them."""
    if count() == 1:
        return rows_logits(model, tokenizer, encoded, batch_size)
    windows = [window for each in encoded for window in each.windows]
    parts = gather(logits_of(model, tokenizer, _share(windows, rank()), batch_size))
    logits: dict[int, Logits] = {}
    for at, part in enumerate(parts):
        logits |= {id(window): values for window, values in zip(_share(windows, at), part, strict=True)}
    return [[logits[id(window)] for window in each.windows] for each in encoded]


def _share(windows: Sequence[Any], process: int) -> list[Any]:
    """Every process gets texts of all lengths."""
    return sorted(windows, key=lambda window: len(window.ids))[process :: count()]
