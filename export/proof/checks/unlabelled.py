"""Rows without labels, of the recipe's ``export.rows``.

A row cannot be lost unless its answer changes. So the share of changed answers bounds the loss of a metric that is a
mean over rows, and needs no labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export.proof.answers.reference import ReferenceModel, UnlabelledAnswers, compute_reference_answers
from trainer.data.rows import Rows
from trainer.setup.unlabelled import read_unlabelled
from trainer.tasks.base import TrainingTask


def answer_unlabelled(
    model: ReferenceModel, training_task: TrainingTask, evaluation: Rows, files: Mapping[str, Mapping[str, Any]]
) -> UnlabelledAnswers | None:
    """The reference's answers, or None if the recipe names no such rows; raises InputError.

    Args:
        files: the ``sha256`` of each file that the run was made with, by role.
    """
    check = training_task.input_check(model.task, model.tokenizer)
    if (found := read_unlabelled(training_task, check, evaluation, files)) is None:
        return None
    answers = compute_reference_answers(model, training_task, found.rows)
    return UnlabelledAnswers(found.rows.name, found.sha256, found.count, answers)
