"""A training run from top to bottom: base model, data, training, evaluation, report, lock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from trainer.data.rows import Rows
from trainer.fit.evaluate import Evaluation, evaluate
from trainer.fit.fit import fine_tune, fit_few_shot
from trainer.fit.progress import show_summary
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.recipe import Recipe
from trainer.run import environment as facts
from trainer.run.energy import EnergyMeter
from trainer.run.folder_lock import folder_lock
from trainer.run.lock import locked_by
from trainer.run.report import write_report
from trainer.run.run import FINISHED, Run, claim, usable, write_atomically
from trainer.setup.training_setup import TrainingSetup, prepare_setup


def train(
    recipe: Recipe,
    output: Path,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    console: Console | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Run:
    """Do what ``recipe`` says and leave a finished run folder at ``output``.

    An interrupted run of the same recipe and data goes on from its last saved state, to the same weights;
    a finished one is returned as it is. ``overwrite`` replaces another run, never anything else. ``threads`` are
    torch's, of a fresh run; one that goes on keeps those that it began with, because sums depend on them.
    Raises InputError for a recipe, data or folder that cannot be used, the folder is not touched then, and where
    another training is at work in it.
    """
    console, clock, meter, run = console or Console(), facts.Stopwatch(), EnergyMeter(), Run(output)
    with clock.stage("data"):
        setup = prepare_setup(recipe, output)
        record = setup.to_record(output)
    usable(run)
    with folder_lock(output):
        if claim(run, record, overwrite) == FINISHED:
            shutil.rmtree(run.state, ignore_errors=True)
            setup.recipe.save(run.recipe)  # what an export may lose is no part of the training, and may be another now
            console.print(f"{output} is finished already, with this recipe and data; nothing to do", soft_wrap=True)
            return run
        with locked_by(run, record, setup.base, threads, console) as lock:
            record |= _make(setup, run, clock, console, callbacks)
            lock.finished(run, record["metrics"]).write(run)
        run.write_record(record | {"seconds": clock.seconds, "energy_joules": meter.joules})
        shutil.rmtree(run.state, ignore_errors=True)
    show_summary(console, record)
    return run


def _make(
    setup: TrainingSetup, run: Run, clock: facts.Stopwatch, console: Console, callbacks: Sequence[TrainerCallback]
) -> dict[str, Any]:
    """Checkpoint, figures and report; returns what the record says of them."""
    setup.recipe.save(run.recipe)
    few = setup.recipe.few_shot
    with clock.stage("training"):
        record = fit_few_shot(setup, few, run, console) if few else fine_tune(setup, run, console, callbacks)
    with clock.stage("evaluation"):
        record |= _measure(setup, run)
    record |= {"status": FINISHED, "versions": facts.versions(), "hardware": facts.hardware()}
    with clock.stage("report"):
        write_report(run, setup.to_record(run.root) | record | {"seconds": clock.seconds})
    return record


def _measure(setup: TrainingSetup, run: Run) -> dict[str, Any]:
    """Validation and test figures of the checkpoint as it lies on disk; the test rows are written beside it."""
    checkpoint = load_checkpoint(run.checkpoint)
    batch_size = setup.recipe.training.per_device_eval_batch_size
    splits = setup.splits

    def measured(sets: dict[str, Rows]) -> dict[str, Evaluation]:
        return {name: evaluate(checkpoint, setup.training_task, rows, batch_size) for name, rows in sets.items()}

    found, apart = measured({"validation": splits.validation, "test": splits.test}), measured(splits.tests)
    _write_evaluation(run, splits.test)
    return {
        "metrics": {name: evaluation.metrics() for name, evaluation in found.items()},
        "test_sets": {name: evaluation.metrics() for name, evaluation in apart.items()},
        "errors": found["test"].errors(),
    }


def _write_evaluation(run: Run, test: Rows) -> None:
    rows = ({"inputs": inputs, "target": target} for inputs, target in test.pairs())
    write_atomically(run.evaluation, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
