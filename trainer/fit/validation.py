"""The validation rows under a model: one pass gives the scores, the loss, and what is tuned on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from serving.tasks.base import Encoded, Logits, Task, TaskSettings
from trainer.data.rows import Rows
from trainer.fit.batches import Examples, collated_by
from trainer.model.heads import Model
from trainer.model.inference import rows_logits
from trainer.model.inputs import longest_first
from trainer.tasks.base import Example, MetricValues, TrainingTask
from trainer.tasks.generation import Generation

LOSS_BATCH = 64


@dataclass(frozen=True)
class Datasets:
    """What a model learns from, and what it is measured with."""

    training_task: TrainingTask
    task: Task
    tokenizer: PreTrainedTokenizerFast
    train: Examples
    validation: Examples
    validation_rows: Rows

    @property
    def items(self) -> list[Encoded]:
        """The windows of each validation item."""
        return [each for row in self.validation.encoded for each in row]


def validate(model: Model, datasets: Datasets, batch_size: int) -> MetricValues:
    """The scores that choose the checkpoint, and ``loss``, the mean without smoothing or class weights.

    Of whole answers; where texts are generated, of each target token given the right ones before it.
    """
    if isinstance(datasets.training_task, Generation):
        return _teacher_forced(model, datasets, datasets.training_task, batch_size)
    logits = rows_logits(model, datasets.tokenizer, datasets.items, batch_size)
    answers = _answers(datasets, logits)
    return {**datasets.training_task.metrics(datasets.validation_rows, answers), "loss": _loss(datasets, logits)}


def tune(model: Model, datasets: Datasets, batch_size: int) -> TaskSettings:
    """The task's settings with what the validation rows teach, such as thresholds; generation has none of them."""
    if isinstance(datasets.training_task, Generation):
        return datasets.task.settings
    logits = rows_logits(model, datasets.tokenizer, datasets.items, batch_size)
    return datasets.training_task.tune_settings(datasets.task, datasets.items, logits, datasets.validation_rows)


@torch.inference_mode()
def _teacher_forced(model: Model, datasets: Datasets, training_task: Generation, batch_size: int) -> MetricValues:
    """The share of the target tokens that the model would have chosen, perplexity, and the mean loss."""
    collate, device = collated_by(datasets.tokenizer, training_task), next(model.parameters()).device
    examples = datasets.validation.examples
    loss, right, count = 0.0, 0, 0
    for indices in longest_first([len(each.windows[0].ids) for each in examples], batch_size):
        batch = {name: value.to(device) for name, value in collate([examples[at] for at in indices]).items()}
        labels = batch.pop("labels")
        logits = model(**batch)["logits"]
        loss += float(training_task.loss(logits, labels, training=False))
        chosen, expected = training_task.aligned(logits, labels)
        right += int((chosen.argmax(-1) == expected).sum())
        count += training_task.label_count(labels)
    mean = loss / max(count, 1)
    return {"token_accuracy": right / max(count, 1), "perplexity": math.exp(min(mean, 50.0)), "loss": mean}


def _answers(datasets: Datasets, logits: Sequence[list[Logits]]) -> list[Any]:
    decoded = iter([datasets.task.decode(*each) for each in zip(datasets.items, logits, strict=True)])
    return [datasets.training_task.answer([next(decoded) for _ in row]) for row in datasets.validation.encoded]


def _loss(datasets: Datasets, logits: Sequence[list[Logits]]) -> float:
    examples = datasets.validation.examples
    found = {
        id(window): values
        for each, windows in zip(datasets.items, logits, strict=True)
        for window, values in zip(each.windows, windows, strict=True)
    }
    total, count = 0.0, 0
    for start in range(0, len(examples), LOSS_BATCH):
        for batch in _same_shape(examples[start : start + LOSS_BATCH], found):
            labels = torch.tensor([example.label for example in batch])
            values = torch.from_numpy(np.stack([found[id(window)] for each in batch for window in each.windows]))
            total += float(datasets.training_task.loss(values, labels, training=False))
            count += datasets.training_task.label_count(labels)
    return total / max(count, 1)


def _same_shape(examples: Sequence[Example], found: dict[int, Logits]) -> list[list[Example]]:
    """All examples together, or each by itself where their logits, one a token, differ in shape."""
    shapes = {found[id(window)].shape for example in examples for window in example.windows}
    return [list(examples)] if len(shapes) == 1 else [[example] for example in examples]
