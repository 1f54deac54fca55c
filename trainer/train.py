"""A training run from top to bottom: base model, data, training, evaluation, report, lock."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from serving.errors import InputError
from trainer.data.rows import Rows
from trainer.fit.begin import Begun, begin, go_on, resume
from trainer.fit.evaluate import Evaluation, evaluate
from trainer.fit.explain_mistakes import explain_mistakes
from trainer.fit.folds import cross_validate
from trainer.fit.leaks import measure_without_leaks
from trainer.fit.machine.forecast import Forecast
from trainer.fit.machine.meters import energy_meter, peak_memory, reset_peak
from trainer.fit.part import fit
from trainer.fit.progress import show_summary
from trainer.model.checkpoint import Checkpoint, load_checkpoint
from trainer.recipe.recipe import Recipe
from trainer.run import environment
from trainer.run.folder_lock import folder_lock, new_folder
from trainer.run.lock import locked_environment
from trainer.run.run import FINISHED, RUNNING, Run, check_folder, claim, write_atomically
from trainer.run.size import measure_size
from trainer.run.tracking.session import require_packages, track
from trainer.setup.teachers import best_teacher
from trainer.setup.training_setup import TrainingSetup, prepare_setup


class Stopwatch:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - start, 3)


def train(
    recipe: Recipe,
    output: Path,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    console: Console | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    check: Callable[[TrainingSetup], None] = lambda setup: None,
    confirm: Callable[[Forecast], bool] = lambda forecast: True,
) -> Run:
    """Train by ``recipe`` and leave a finished run folder at ``output``; raises InputError or FolderInUse.

    An interrupted run of the same recipe and data is resumed, to the same weights; a finished one is returned.
    ``overwrite`` replaces another run, never anything else. ``threads`` are torch's, of a fresh run; a resumed one
    keeps its own, as sums depend on them. ``check`` may raise InputError, and ``confirm`` say no to a fresh run, before
    anything is written.
    """
    console, clock, run = console or Console(), Stopwatch(), Run(output)
    if recipe.imported:
        raise InputError(
            "imported: this recipe is of a run that tuneship import made, which trains nothing; write one whose model"
            " is that run's checkpoint, or import again",
            field="imported",
        )
    require_packages(recipe)
    reset_peak()
    with clock.stage("data"):
        setup = prepare_setup(recipe, output)
        check(setup)
    check_folder(run)
    with new_folder(output), folder_lock(output), energy_meter() as meter:
        before = None if overwrite or run.status() is None else run.read_record()
        setup = setup if before is None else go_on(setup, before)
        if before is not None and claim(run, setup.to_record(output), overwrite=False) == FINISHED:
            shutil.rmtree(run.state, ignore_errors=True)
            setup.recipe.save(run.recipe)  # its sections export and card may have changed, and train nothing
            console.print(f"{output} is finished already, with this recipe and data; nothing to do", soft_wrap=True)
            return run
        with clock.stage("preparation"):
            if before is None:
                begun = begin(setup, output, console, threads, confirm)
            else:
                begun = resume(setup, output, before, console)
        record = begun.record
        if before is None:
            claim(run, record, overwrite)
        known = run.read_record().get("tracking", {})
        with (
            locked_environment(run, record, setup.base, begun.threads, console) as lock,
            track(setup.recipe, run, known, console) as tracking,
        ):
            record |= tracking.to_record()
            run.write_record({"status": RUNNING, **record})
            record |= _train_and_evaluate(begun, run, clock, console, [*callbacks, tracking])
            record |= {"seconds": clock.seconds}
            record |= {"spent": {"memory": peak_memory(), "joules": meter.joules}} if before is None else {}
            with clock.stage("report"):
                from trainer.run.report.report import (
                    write_report,  # with matplotlib: the first step does not wait for it
                )

                write_report(run, record)
            tracking.log_results(record, run.figures)
            lock.with_result(run, record).write(run)
        run.write_record(record)
        shutil.rmtree(run.state, ignore_errors=True)
    show_summary(console, record)
    return run


def forecast_training(
    recipe: Recipe, output: Path, *, console: Console | None = None, check: Callable[[TrainingSetup], None]
) -> Forecast | None:
    """Show what a training at ``output`` would take, and write nothing; None for a few-shot recipe."""
    setup = prepare_setup(recipe, output)
    check(setup)
    return begin(setup, output, console or Console()).forecast


def _train_and_evaluate(
    begun: Begun, run: Run, clock: Stopwatch, console: Console, callbacks: Sequence[TrainerCallback]
) -> dict[str, Any]:
    """Returns its part of the record."""
    begun.setup.recipe.save(run.recipe)
    folds = {}
    if begun.setup.recipe.data.folds:
        with clock.stage("folds"):
            folds = {"cross_validation": cross_validate(begun.setup, run, console, callbacks)}
    with clock.stage("training"):
        record = fit(begun, run, console, callbacks) | folds
    with clock.stage("evaluation"):
        record |= _evaluate_saved(begun.setup, run)
    return record | {"status": FINISHED, "versions": environment.versions(), "hardware": environment.hardware()}


def _evaluate_saved(setup: TrainingSetup, run: Run) -> dict[str, Any]:
    """Also writes the test rows."""
    checkpoint = load_checkpoint(run.checkpoint)
    batch_size = setup.recipe.training.per_device_eval_batch_size
    splits = setup.splits

    def evaluate_all(sets: dict[str, Rows]) -> dict[str, Evaluation]:
        return {name: evaluate(checkpoint, setup.training_task, rows, batch_size) for name, rows in sets.items()}

    evaluations = evaluate_all({"validation": splits.validation, "test": splits.test})
    test_sets = evaluate_all(splits.tests)
    rows = ({"inputs": inputs, "target": target} for inputs, target in splits.test.pairs())
    _write_lines(run.evaluation, rows)
    return {
        **(_evaluate_teacher(setup, run) if setup.teachers else {}),
        "metrics": {name: evaluation.metrics() for name, evaluation in evaluations.items()},
        "test_sets": {name: evaluation.metrics() for name, evaluation in test_sets.items()},
        "leaks": measure_without_leaks(evaluations["test"], splits, setup.recipe.task),
        "errors": _explained_errors(checkpoint, evaluations["test"]),
        "slices": evaluations["test"].slices(),
        "slices_metric": setup.training_task.proof_metric,
        "size": measure_size(checkpoint.model, run.checkpoint),
    }


def _evaluate_teacher(setup: TrainingSetup, run: Run) -> dict[str, Any]:
    """Also writes its answers to the test rows, so that no export needs it."""
    teacher, rows = best_teacher(setup.teachers, setup.recipe.metric), setup.splits.test
    batch_size = setup.recipe.training.per_device_eval_batch_size
    evaluation = evaluate(teacher.load(), setup.training_task, rows, batch_size)
    _write_lines(run.teacher, evaluation.answers)
    figures = evaluation.metrics()
    kept = {"rows", *setup.training_task.metrics(rows, evaluation.answers)}
    metrics = {name: figures[name] for name in figures if name.removesuffix("_interval_95") in kept}
    return {"teacher": {"id": teacher.run.root.resolve().name, "metrics": metrics}}


def _write_lines(path: Path, values: Iterable[Any]) -> None:
    write_atomically(path, "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in values))


def _explained_errors(checkpoint: Checkpoint, evaluation: Evaluation) -> dict[str, Any]:
    errors = evaluation.errors()
    return errors | {"worst": explain_mistakes(checkpoint, evaluation.rows, errors["worst"])}
