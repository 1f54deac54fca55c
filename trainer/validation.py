"""The validation rows under a model: one pass gives the scores, the loss, and what is tuned on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Logits, Settings, Task
from trainer.batches import Examples
from trainer.heads import Model
from trainer.inference import rows_logits
from trainer.rows import Rows

if TYPE_CHECKING:
    from trainer.tasks.base import Example, Learning, Scores

LOSS_BATCH = 64


@dataclass(frozen=True)
class Material:
    """What a model learns from, and what it is measured with."""

    learning: Learning
    task: Task
    tokenizer: PreTrainedTokenizerFast
    train: Examples
    validation: Examples
    validation_rows: Rows

    @property
    def items(self) -> list[Encoded]:
        """The windows of each validation item."""
        return [each for row in self.validation.encoded for each in row]


def validate(model: Model, material: Material, batch_size: int) -> Scores:
    """The task's scores of whole answers, and ``loss``, the mean without smoothing or weights."""
    logits = rows_logits(model, material.tokenizer, material.items, batch_size)
    answers = _answers(material, logits)
    return {**material.learning.scores(material.validation_rows, answers), "loss": _loss(material, logits)}


def tune(model: Model, material: Material, batch_size: int) -> Settings:
    """The task's settings with what the validation rows teach, such as thresholds."""
    logits = rows_logits(model, material.tokenizer, material.items, batch_size)
    return material.learning.tuned(material.task, material.items, logits, material.validation_rows)


def _answers(material: Material, logits: Sequence[list[Logits]]) -> list[Any]:
    decoded = iter([material.task.decode(*each) for each in zip(material.items, logits, strict=True)])
    return [material.learning.answer([next(decoded) for _ in row]) for row in material.validation.encoded]


def _loss(material: Material, logits: Sequence[list[Logits]]) -> float:
    examples = material.validation.examples
    found = {
        id(window): values
        for each, windows in zip(material.items, logits, strict=True)
        for window, values in zip(each.windows, windows, strict=True)
    }
    total, count = 0.0, 0
    for start in range(0, len(examples), LOSS_BATCH):
        for batch in _same_shape(examples[start : start + LOSS_BATCH], found):
            labels = torch.tensor([example.label for example in batch])
            values = torch.from_numpy(np.stack([found[id(window)] for each in batch for window in each.windows]))
            total += float(material.learning.loss(values, labels, training=False))
            count += material.learning.label_count(labels)
    return total / max(count, 1)


def _same_shape(examples: Sequence[Example], found: dict[int, Logits]) -> list[list[Example]]:
    """All examples together, or each by itself where their logits, one a token, differ in shape."""
    shapes = {found[id(window)].shape for example in examples for window in example.windows}
    return [list(examples)] if len(shapes) == 1 else [[example] for example in examples]
