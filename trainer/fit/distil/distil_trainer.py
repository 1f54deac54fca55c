"""The trainer of a student: its loss is that of the labels and the distance from the teachers' answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from trainer.fit.distil.lesson import TaughtExample
from trainer.fit.distil.pooled_vectors import VectorTap, vector_distance
from trainer.fit.trainer import TaskTrainer
from trainer.model.inputs import Batch

TEACHER, LABELLED, WINDOWS, VECTORS = "teacher", "labelled", "windows", "teacher_vectors"


class DistilTrainer(TaskTrainer):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.data_collator: Callable[[Sequence[Any]], Batch] = with_teacher(self.data_collator)
        self._tap = VectorTap(self.model) if self._weight else None

    @property
    def _weight(self) -> float:
        distil = self.datasets.training_task.recipe.distil
        return distil.vector_weight if distil else 0.0

    def compute_loss(self, model: nn.Module, inputs: Batch, *args: Any, **options: Any) -> Any:
        taught = TEACHER in inputs  # the timed steps before a training know no teacher yet
        self._taught = (inputs.pop(TEACHER), inputs.pop(LABELLED), inputs.pop(WINDOWS)) if taught else None
        self._vectors = inputs.pop(VECTORS, None)
        return super().compute_loss(model, inputs, *args, **options)

    def total_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Rows without labels have the teachers' part alone, at its full weight."""
        if self._taught is None:
            return super().total_loss(logits, labels)
        task, (teacher, labelled, windows) = self.datasets.training_task, self._taught
        distil, soft = task.recipe.distil, task.soft_answers()
        assert distil is not None
        assert soft is not None
        known = labelled.repeat_interleave(windows)
        weights = torch.where(known, 1 - distil.label_weight, 1.0)
        total = (soft.loss(logits, teacher, labels, distil.temperature) * weights).sum()
        if distil.label_weight and labelled.any():
            total = total + distil.label_weight * super().total_loss(logits[known], labels[labelled])
        if self._tap and self._vectors is not None:
            total = total + self._weight * vector_distance(self._tap.take(), self._vectors).sum()
        return total


def with_teacher(collate: Callable[[Sequence[Any]], Batch]) -> Callable[[Sequence[TaughtExample]], Batch]:
    """Batches also have the teachers' logits [windows, …], padded by the lowest float, and which labels count.

    With of how many windows each label is, and the first teacher's vectors [windows, width], where there are any.
    """

    def collate_taught(examples: Sequence[TaughtExample]) -> Batch:
        batch, logits = collate(examples), [each for example in examples for each in example.teacher]
        longest = batch["input_ids"].shape[1]
        padded = [each if each.ndim == 1 else _pad(each, longest) for each in logits]
        vectors = [each for example in examples for each in example.vectors]
        return {
            **batch,
            TEACHER: torch.stack(padded),
            LABELLED: torch.tensor([example.labelled for example in examples]),
            WINDOWS: torch.tensor([len(example.windows) for example in examples]),
            **({VECTORS: torch.stack(vectors)} if vectors else {}),
        }

    return collate_taught


def _pad(logits: Tensor, longest: int) -> Tensor:
    return pad(logits, (0, 0, 0, longest - len(logits)), value=torch.finfo(torch.float32).min)
