"""A training run from top to bottom: base model, data, training, evaluation, report, lock."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from serving.errors import InputError
from stores.runs.states import StatesPlace
from trainer.fit.begin import Begun, begin, go_on, resume
from trainer.fit.evaluate_run import evaluate_run
from trainer.fit.folds import cross_validate
from trainer.fit.machine.allocator import keep_freed_memory
from trainer.fit.machine.forecast import Forecast
from trainer.fit.machine.meters import EnergyMeter, energy_meter, peak_memory, reset_peak
from trainer.fit.part import fit
from trainer.fit.privacy.accounting import require_opacus
from trainer.fit.privacy.membership import attack_run
from trainer.fit.progress import show_summary
from trainer.fit.uploading import kept_at
from trainer.recipe.recipe import Recipe
from trainer.run import environment
from trainer.run.folder_lock import folder_lock, new_folder
from trainer.run.lock import locked_environment
from trainer.run.run import FINISHED, RUNNING, Run, changes_between, check_folder, claim
from trainer.run.tracking.session import require_packages, track
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
    place: StatesPlace | None = None,
) -> Run:
    """Train by ``recipe`` and leave a finished run folder at ``output``; raises InputError or FolderInUse.

    An interrupted run of the same recipe and data is resumed, to the same weights; a finished one is returned.
    ``overwrite`` replaces another run, never anything else. ``threads`` are torch's, of a fresh run; a resumed one
    keeps its own, as sums depend on them. ``check`` may raise InputError, and ``confirm`` say no to a fresh run, before
    anything is written. ``place`` keeps the states, and the finished run, so that another machine can go on.
    """
    console, clock, run = console or Console(), Stopwatch(), Run(output)
    _require_trainable(recipe)
    reset_peak()
    keep_freed_memory()
    with clock.stage("data"):
        setup = prepare_setup(recipe, output)
        check(setup)
    check_folder(run)

    def changes(record: dict[str, Any]) -> list[str]:
        return changes_between(record, go_on(setup, record).to_record(output))

    with (
        new_folder(output),
        folder_lock(output),
        energy_meter() as meter,
        kept_at(place, run, changes, console, overwrite=overwrite) as uploads,
    ):
        before = None if overwrite or run.status() is None else run.read_record()
        setup = setup if before is None else go_on(setup, before)
        if before is not None and claim(run, setup.to_record(output), overwrite=False) == FINISHED:
            return _keep_finished(setup, run, console)
        with clock.stage("preparation"):
            if before is None:
                begun = begin(setup, output, console, threads, confirm)
                claim(run, begun.record, overwrite)
            else:
                begun = resume(setup, output, before, console)
        callbacks = [*uploads, *callbacks]  # a signal ends the training in one of the others
        record = _train_and_report(begun, run, clock, console, callbacks, meter if before is None else None)
        run.write_record(record)
        shutil.rmtree(run.state, ignore_errors=True)
    show_summary(console, record)
    return run


def _require_trainable(recipe: Recipe) -> None:
    """Raise InputError for a recipe that trains nothing, and for packages that it needs and that are not there."""
    if recipe.imported:
        raise InputError(
            "imported: this recipe is of a run that tuneship import made, which trains nothing; write one whose model"
            " is that run's checkpoint, or import again",
            field="imported",
        )
    require_packages(recipe)
    require_opacus(recipe)


def _keep_finished(setup: TrainingSetup, run: Run, console: Console) -> Run:
    shutil.rmtree(run.state, ignore_errors=True)
    setup.recipe.save(run.recipe)  # its sections export and card may have changed, and train nothing
    console.print(f"{run.root} is finished already, with this recipe and data; nothing to do", soft_wrap=True)
    return run


def forecast_training(
    recipe: Recipe, output: Path, *, console: Console | None = None, check: Callable[[TrainingSetup], None]
) -> Forecast | None:
    """Show what a training at ``output`` would take, and write nothing; None for a few-shot recipe."""
    setup = prepare_setup(recipe, output)
    check(setup)
    return begin(setup, output, console or Console()).forecast


def _train_and_report(
    begun: Begun,
    run: Run,
    clock: Stopwatch,
    console: Console,
    callbacks: Sequence[TrainerCallback],
    meter: EnergyMeter | None,
) -> dict[str, Any]:
    """Returns the run's record, and writes the lock; ``meter`` has measured all of a fresh run."""
    setup, record, known = begun.setup, begun.record, run.read_record().get("tracking", {})
    with (
        locked_environment(run, record, setup.base, begun.threads, console) as lock,
        track(setup.recipe, run, known, console) as tracking,
    ):
        record |= tracking.to_record()
        run.write_record({"status": RUNNING, **record})
        record |= _train_and_evaluate(begun, run, clock, console, [*callbacks, tracking])
        record |= {"seconds": clock.seconds}
        record |= {"spent": {"memory": peak_memory(), "joules": meter.joules}} if meter else {}
        with clock.stage("report"):
            from trainer.run.report.report import write_report  # with matplotlib, which no step waits for

            write_report(run, record)
        tracking.log_results(record, run.figures)
        lock.with_result(run, record).write(run)
    return record


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
        record |= evaluate_run(begun.setup, run)
        record |= attack_run(begun.setup, run, record.get("privacy"))
    return record | {"status": FINISHED, "versions": environment.versions(), "hardware": environment.hardware()}
