"""Training without evaluating it: of a run, and of what is no run, such as a trial or a fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from transformers import TrainerCallback

from trainer.fit.begin import Begun, begin, go_on, resume
from trainer.fit.few_shot import fit_few_shot
from trainer.fit.fine_tune import fine_tune
from trainer.fit.model_soup import Record
from trainer.run.run import RUNNING, Run
from trainer.setup.training_setup import TrainingSetup


def fit(begun: Begun, run: Run, console: Console, callbacks: Sequence[TrainerCallback]) -> Record:
    """Train or resume, and save the checkpoint; returns its part of the run's record."""
    setup, datasets = begun.setup, begun.datasets
    if few_shot := setup.recipe.few_shot:
        return fit_few_shot(setup, datasets, few_shot, run)
    return fine_tune(setup, datasets, run, console, callbacks)


def train_part(setup: TrainingSetup, folder: Path, callbacks: Sequence[TrainerCallback] = ()) -> Record:
    """Train or resume in a folder of its own, whose ``log.txt`` has what a terminal would show.

    The folder holds the checkpoint and, until that is there, the state; test rows are not read. ``setup`` must be the
    same in each call.
    """
    run = Run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        console = Console(file=log, width=100)
        begun = _begin_or_resume(setup, run, console)
        run.write_record({"status": RUNNING, **begun.record})
        begun.setup.recipe.save(run.recipe)
        return fit(begun, run, console, callbacks)


def _begin_or_resume(setup: TrainingSetup, run: Run, console: Console) -> Begun:
    """On torch's threads: whoever trains parts shares the CPUs among them."""
    if run.status() is None:
        return begin(setup, run.root, console, torch.get_num_threads())
    before = run.read_record()
    return resume(go_on(setup, before), run.root, before, console)
