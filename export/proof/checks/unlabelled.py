"""Rows without labels, of the recipe's ``export.rows``.

A row cannot be lost unless its answer changes. So the share of changed answers bounds the loss of a metric that is a
mean over rows, and needs no labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.proof.answers.reference import ReferenceModel, UnlabelledAnswers, compute_reference_answers
from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from stores.data import local_file
from trainer.data.problems import message
from trainer.data.readers import read_file
from trainer.data.rows import Rows, same_text
from trainer.setup.sources import read_options
from trainer.tasks.base import TrainingTask

KEY = "export.rows"
WITH_HEADER = (".jsonl", ".ndjson", ".json", ".parquet")


def answer_unlabelled(
    model: ReferenceModel, training_task: TrainingTask, evaluation: Rows, files: Mapping[str, Mapping[str, Any]]
) -> UnlabelledAnswers | None:
    """The reference's answers, or None if the recipe names no such rows; raises InputError.

    Args:
        files: the ``sha256`` of each file that the run was made with, by role.
    """
    if training_task.recipe.export.rows is None:
        return None
    path = local_file(training_task.recipe.export.rows)
    inputs = _read_inputs(training_task, path)
    digest = sha256_of(path)
    for role, file in files.items():
        if file.get("sha256") == digest:
            raise InputError(
                f"{KEY}: {path.name} is the run's own data.{role}; give rows that it has not seen", field=KEY
            )
    known = {same_text(each) for each in evaluation.inputs}
    fresh = list({same_text(each): each for each in inputs if same_text(each) not in known}.values())
    if not fresh:
        raise InputError(f"{KEY}: every row of {path.name} is among the test rows; give others", field=KEY)
    rows = Rows(path.name, fresh, [None] * len(fresh), list(range(1, len(fresh) + 1)), [""] * len(fresh))
    answers = compute_reference_answers(model, training_task, rows)
    return UnlabelledAnswers(path.name, digest, len(inputs), answers)


def _read_inputs(training_task: TrainingTask, path: Path) -> list[Any]:
    """Columns are as in the recipe's data section."""
    options = read_options(training_task.data)
    if any(suffix.lower() in WITH_HEADER for suffix in path.suffixes):
        options = options._replace(column_names=None)
    table = read_file(path, options)
    inputs = training_task.read_inputs(table)
    if training_task.data.unusable_rows == "refuse" and len(table.problems):
        raise InputError(message({table.name: table.problems}), field=KEY)
    return [inputs[at] for at in table.usable()]
