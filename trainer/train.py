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
from serving.observability.progress import begin_step
from stores.runs.states import StatesPlace
from trainer.fit.begin import Begun, begin, go_on, resume
from trainer.fit.distributed.follow import begin_behind, follow_first, help_to_fit
from trainer.fit.distributed.requirements import require_parallel, require_same_rows
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
from trainer.model.four_bits.library import require_four_bits
from trainer.recipe.recipe import Recipe
from trainer.run import environment
from trainer.run.folder_lock import folder_lock, new_folder
from trainer.run.lock import locked_environment
from trainer.run.processes import broadcast, from_first, is_first, shared_errors
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
    console, clock, run = (console or Console()) if is_first() else Console(quiet=True), Stopwatch(), Run(output)
    reset_peak()
    keep_freed_memory()
    begin_step("reading the data…")
    with clock.stage("data"), shared_errors():
        _require_trainable(recipe)
        setup = prepare_setup(recipe, output)
        if is_first():
            check(setup)
            check_folder(run)
    require_same_rows(setup)

    def changes(record: dict[str, Any]) -> list[str]:
        return changes_between(record, go_on(setup, record).to_record(output))

    def keep() -> contextlib.AbstractContextManager[Sequence[TrainerCallback]]:
        return kept_at(place, run, changes, console, overwrite=overwrite)

    begin_step("preparing the training…")
    with _own_folder(output, keep) as uploads, energy_meter() as meter:
        with clock.stage("preparation"), shared_errors():
            begun = (
                _begin(setup, run, console, threads, confirm, overwrite) if is_first() else begin_behind(setup, output)
            )
        begun = follow_first(begun, run)
        if begun is None:
            return run
        if not is_first():
            help_to_fit(begun, run, callbacks)
            return run
        callbacks = [*uploads, *callbacks]  # a signal ends the training in one of the others
        record = _train_and_report(begun, run, clock, console, callbacks, None if begun.resumed else meter)
        run.write_record(record)
        shutil.rmtree(run.state, ignore_errors=True)
        broadcast(FINISHED)
    show_summary(console, record)
    return run


def _begin(
    setup: TrainingSetup,
    run: Run,
    console: Console,
    threads: int | None,
    confirm: Callable[[Forecast], bool],
    overwrite: bool,
) -> Begun | None:
    """Claim the folder, for a fresh run or one to resume; None: it is finished."""
    if overwrite or run.status() is None:
        begun = begin(setup, run.root, console, threads, confirm)
        claim(run, begun.record, overwrite)
        return begun
    before = run.read_record()
    setup = go_on(setup, before)
    if claim(run, setup.to_record(run.root), overwrite=False) == FINISHED:
        _keep_finished(setup, run, console)
        return None
    return resume(setup, run.root, before, console)


@contextlib.contextmanager
def _own_folder(
    output: Path, keep: Callable[[], contextlib.AbstractContextManager[Sequence[TrainerCallback]]]
) -> Iterator[Sequence[TrainerCallback]]:
    """The first process's, for all; gives the callbacks by which it is kept elsewhere."""
    uploads: Sequence[TrainerCallback] = ()
    with contextlib.ExitStack() as stack:
        with shared_errors():
            if is_first():
                stack.enter_context(new_folder(output))
                stack.enter_context(folder_lock(output))
                uploads = stack.enter_context(keep())
        yield uploads


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
    require_four_bits(recipe.training)
    require_parallel(recipe)


def _keep_finished(setup: TrainingSetup, run: Run, console: Console) -> None:
    shutil.rmtree(run.state, ignore_errors=True)
    setup.recipe.save(run.recipe)  # its sections export and card may have changed, and train nothing
    console.print(f"{run.root} is finished already, with this recipe and data; nothing to do", soft_wrap=True)


def forecast_training(
    recipe: Recipe, output: Path, *, console: Console | None = None, check: Callable[[TrainingSetup], None]
) -> Forecast | None:
    """Show what a training at ``output`` would take, and write nothing; None for a few-shot recipe."""

    def tell() -> Forecast | None:
        setup = prepare_setup(recipe, output)
        check(setup)
        return begin(setup, output, console or Console()).forecast

    return from_first(tell)


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
    begin_step("training…")
    with clock.stage("training"):
        record = fit(begun, run, console, callbacks) | folds
    begin_step("evaluating…")
    with clock.stage("evaluation"):
        record |= evaluate_run(begun.setup, run)
        record |= attack_run(begun.setup, run, record.get("privacy"))
    return record | {"status": FINISHED, "versions": environment.versions(), "hardware": environment.hardware()}
