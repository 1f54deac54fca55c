"""A saved checkpoint is held to transformers' own model."""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from serving.errors import InputError
from trainer.data.rows import Rows
from trainer.imports.imported_model import ImportedModel
from trainer.imports.transformers_model import original_logits
from trainer.model.checkpoint import Checkpoint
from trainer.model.heads import GENERATING
from trainer.model.inference import rows_logits
from trainer.model.inputs import encode, padder
from trainer.tasks.base import TrainingTask

BATCH_SIZE = 32
HELD_TO = 256
"""Rows on which both are compared, evenly spread."""
TOLERANCE = 1e-4
"""Of a logit, as a share of the largest one where that is above 1."""


def require_same(
    model: ImportedModel, saved: Checkpoint, tokenizer: PreTrainedTokenizerFast, training_task: TrainingTask, rows: Rows
) -> None:
    """Raise InputError unless the saved checkpoint tokenises and answers as transformers does, text by text."""
    places = np.linspace(0, len(rows) - 1, min(HELD_TO, len(rows))).round().astype(int).tolist()
    items = [item for at in places for item in training_task.items(saved.task, rows.inputs[at])]
    expected, found = (encode(each, saved.task, items) for each in (tokenizer, saved.tokenizer))
    if [[w.ids for w in each.windows] for each in expected] != [[w.ids for w in each.windows] for each in found]:
        raise InputError(
            f"{model.source.base.id}: its tokenizer, saved and loaded again, gives other tokens; save it by"
            " transformers 5's save_pretrained, and import that",
            field="model",
        )
    original = model.loaded.original
    if original is None or model.loaded.model_spec.head in GENERATING:
        return
    pad = padder(tokenizer)
    for each, logits in zip(found, rows_logits(saved.model, saved.tokenizer, found, BATCH_SIZE), strict=True):
        for window, ours in zip(each.windows, logits, strict=True):
            theirs = original_logits(original, pad([window]))[0].numpy()
            if not _close(ours, theirs):
                raise InputError(
                    f"{model.source.base.id}: {type(original).__name__} answers otherwise than its head as Tuneship"
                    f" computes it, such as for {str(each.item)[:60]!r}: its answer depends on a padding or end token"
                    " in the text; it cannot be imported",
                    field="model",
                )


def _close(ours: Any, theirs: Any) -> bool:
    if ours.shape != theirs.shape:
        return False
    return bool(np.abs(ours - theirs).max() <= TOLERANCE * max(1.0, float(np.abs(theirs).max())))
