"""The rows that no trial sees."""

from __future__ import annotations

from dataclasses import replace

from serving.errors import InputError
from trainer.data.holdout import hold_out
from trainer.data.rows import Rows
from trainer.setup.training_setup import TrainingSetup


def without_held_out(setup: TrainingSetup, fraction: float) -> tuple[TrainingSetup, Rows]:
    """The setup with fewer training rows, and those that it lost; every label keeps a row in training."""
    rest, held_out = divide(setup, setup.splits.train, fraction, "search")
    return with_training_rows(setup, rest), held_out


def with_training_rows(setup: TrainingSetup, rows: Rows) -> TrainingSetup:
    counts = {**setup.splits.counts, "train": setup.training_task.label_counts(rows)}
    return replace(setup, splits=replace(setup.splits, train=rows, counts=counts))


def divide(setup: TrainingSetup, rows: Rows, fraction: float, name: str) -> tuple[Rows, Rows]:
    """Stratified, with groups of equal texts on one side; raises InputError where there are too few rows."""
    task = setup.training_task
    try:
        rest, held_out = hold_out(rows, task.strata(rows), fraction, task.data.split_seed, name)
    except InputError:
        raise InputError(
            f"search.held_out: {fraction:g} of the {len(rows)} training rows holds out none; give a larger fraction, or"
            " more rows",
            field="search",
        ) from None
    return task.complete(rest), task.complete(held_out)
