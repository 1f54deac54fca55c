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
from trainer.fit.evaluate import Evaluation, evaluate
from trainer.fit.leaks import measure_without_leaks
from trainer.fit.part import fit
from trainer.fit.progress import show_summary
from trainer.model.checkpoint import load_checkpoint
from trainer.recipe.recipe import Recipe
from trainer.run import environment
from trainer.run.folder_lock import folder_lock
from trainer.run.lock import locked_environment
from trainer.run.run import FINISHED, Run, check_folder, claim, write_atomically
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
) -> Run:
    """Train by ``recipe`` and leave a finished run folder at ``output``; raises InputError or FolderInUse.

    An interrupted run of the same recipe and data is resumed, to the same weights; a finished one is returned.
    ``overwrite`` replaces another run, never anything else. ``threads`` are torch's, of a fresh run; a resumed one
    keeps its own, as sums depend on them. ``check`` may raise InputError before anything is written.
    """
    console, clock, run = console or Console(), Stopwatch(), Run(output)
    if recipe.imported:
        raise InputError(
            "imported: this recipe is of a run that tuneship import made, which trains nothing; write one whose model"
            " is that run's checkpoint, or import again",
            field="imported",
        )
    with clock.stage("data"):
        setup = prepare_setup(recipe, output)
        check(setup)
        record = setup.to_record(output)
    check_folder(run)
    with folder_lock(output):
        if claim(run, record, overwrite) == FINISHED:
            shutil.rmtree(run.state, ignore_errors=True)
            setup.recipe.save(run.recipe)  # its sections export and card may have changed, and train nothing
            console.print(f"{output} is finished already, with this recipe and data; nothing to do", soft_wrap=True)
            return run
        with locked_environment(run, record, setup.base, threads, console) as lock:
            record |= _train_and_report(setup, run, clock, console, callbacks)
            record |= {"seconds": clock.seconds}
            lock.with_result(run, record).write(run)
        run.write_record(record)
        shutil.rmtree(run.state, ignore_errors=True)
    show_summary(console, record)
    return run


def _train_and_report(
    setup: TrainingSetup, run: Run, clock: Stopwatch, console: Console, callbacks: Sequence[TrainerCallback]
) -> dict[str, Any]:
    """Returns its part of the record."""
    setup.recipe.save(run.recipe)
    with clock.stage("training"):
        record = fit(setup, run, console, callbacks)
    with clock.stage("evaluation"):
        record |= _evaluate_saved(setup, run)
    record |= {"status": FINISHED, "versions": environment.versions(), "hardware": environment.hardware()}
    with clock.stage("report"):
        from trainer.run.report import write_report  # with matplotlib, once the first step no longer waits for it

        write_report(run, setup.to_record(run.root) | record | {"seconds": clock.seconds})
    return record


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
        "errors": evaluations["test"].errors(),
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
