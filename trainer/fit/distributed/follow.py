"""What the processes behind the first one do of a training: its steps, by the choices that the first one makes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from transformers import TrainerCallback

from trainer.fit.begin import Begun
from trainer.fit.machine.plan import with_precision
from trainer.fit.part import fit
from trainer.fit.validation import encode_datasets
from trainer.run.environment import torch_threads
from trainer.run.lock import read_lock
from trainer.run.processes import broadcast, is_first
from trainer.run.run import Run
from trainer.setup.training_setup import TrainingSetup


def silent_console() -> Console:
    return Console(file=io.StringIO(), quiet=True)


def begin_behind(setup: TrainingSetup, output: Path) -> Begun:
    """The rows are encoded while the first process measures."""
    record = setup.to_record(output)
    datasets, _ = encode_datasets(setup, record, silent_console())
    return Begun(setup, datasets, None, record)


def follow_first(begun: Begun | None, run: Run) -> Begun | None:
    """In the first process's precision and threads; None where there is nothing to train."""
    told = broadcast((begun.setup.recipe.training.bf16, _threads(begun, run)) if begun and is_first() else None)
    if is_first() or told is None or begun is None:
        return begun if told else None
    bf16, threads = told
    setup = with_precision(begun.setup, bf16)
    return replace(
        begun, setup=setup, datasets=replace(begun.datasets, training_task=setup.training_task), threads=threads
    )


def _threads(begun: Begun, run: Run) -> int | None:
    return read_lock(run).threads if begun.resumed and run.lock.is_file() else begun.threads


def help_to_fit(begun: Begun, run: Run, callbacks: Sequence[TrainerCallback]) -> None:
    """Take part in each step; returns when the first process has evaluated and written the run."""
    with torch_threads(begun.threads or torch.get_num_threads()):
        fit(begun, run, silent_console(), callbacks)
    broadcast(None)
