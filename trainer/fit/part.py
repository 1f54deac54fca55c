"""Training without evaluating it: of a run, and of what is no run, such as a trial or a fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from transformers import TrainerCallback

from trainer.fit.few_shot import fit_few_shot
from trainer.fit.fine_tune import fine_tune
from trainer.fit.model_soup import Record
from trainer.run.run import RUNNING, Run
from trainer.setup.training_setup import TrainingSetup


def fit(setup: TrainingSetup, run: Run, console: Console, callbacks: Sequence[TrainerCallback]) -> Record:
    """Train or resume, and save the checkpoint; returns its part of the run's record."""
    few_shot = setup.recipe.few_shot
    return fit_few_shot(setup, few_shot, run, console) if few_shot else fine_tune(setup, run, console, callbacks)


def train_part(setup: TrainingSetup, folder: Path, callbacks: Sequence[TrainerCallback] = ()) -> Record:
    """Train or resume in a folder of its own, whose ``log.txt`` has what a terminal would show.

    The folder holds the checkpoint and, until that is there, the state; test rows are not read. ``setup`` must be the
    same in each call.
    """
    run = Run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    run.write_record({"status": RUNNING, **setup.to_record(folder)})
    setup.recipe.save(run.recipe)
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        return fit(setup, run, Console(file=log, width=100), callbacks)
