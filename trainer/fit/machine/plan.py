"""Before a training: how this machine computes it best, and what it will take."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console

from trainer.fit.batches import collator
from trainer.fit.fine_tune import create_trainer
from trainer.fit.machine.choice import Choice, choose, precisions, thread_counts
from trainer.fit.machine.forecast import Forecast, forecast
from trainer.fit.machine.meters import energy_meter
from trainer.fit.machine.trial import Trial
from trainer.fit.machine.workload import Workload
from trainer.fit.no_duplicates import create_sampler
from trainer.fit.step_batches import StepBatches
from trainer.fit.trainer import preserve_randomness, state_bytes
from trainer.fit.validation import Datasets
from trainer.model.quiet import quiet_transformers
from trainer.recipe.applicability import adds_noise
from trainer.run.processes import count, rank
from trainer.setup.training_setup import TrainingSetup


@dataclass(frozen=True)
class Plan:
    """Attributes:
    setup: with the chosen precision.
    state_bytes: the least that training takes on disk.
    forecast: None where no step could be made.
    """

    setup: TrainingSetup
    threads: int
    state_bytes: int
    forecast: Forecast | None
    record: dict[str, Any]


def plan_training(setup: TrainingSetup, datasets: Datasets, console: Console, threads: int | None = None) -> Plan:
    """Time a few steps; weights and random states stay as they were. ``threads`` None: as many as pay."""
    training = setup.recipe.training
    sample = datasets.sample()
    lengths = sample.train.lengths()
    steps = create_sampler(datasets.training_task, sample.train, training.rows_a_step(count()), training.seed)
    order = list(chain.from_iterable(StepBatches(steps, training.gradient_accumulation_steps, rank(), count())))
    further = len(setup.unlabelled.rows) if setup.unlabelled else 0
    workload = Workload.of(lengths, order, training, -(-(len(datasets.train) + further) // count()))
    with tempfile.TemporaryDirectory() as state, preserve_randomness(), quiet_transformers(), energy_meter() as meter:
        start = time.perf_counter()
        untaught = replace(setup, teachers=())  # their answers are computed later, and cost a step next to nothing
        trainer = create_trainer(untaught, datasets, training.seed, Path(state), [])
        collate = collator(datasets.tokenizer, datasets.training_task)
        probes = {length: collate([sample.train[at] for at in rows]) for length, rows in workload.examples.items()}
        rows, share = workload.part()
        parts = {length: collate([sample.train[at] for at in each]) for length, each in rows.items()}
        device = trainer.args.device.type
        trial = Trial(trainer, probes, *((parts, share) if device == "cpu" else ()))  # a GPU needs whole batches
        # to compare losses would read the training rows without noise, and rows are clipped in fp32
        bf16 = False if adds_noise(setup.recipe) else training.bf16
        choice = choose(trial, workload, precisions(bf16, device), thread_counts(threads, device))
        written = state_bytes(trainer.model, training)
        joules, seconds = meter.joules, time.perf_counter() - start
        told = None
        if choice.chosen.problem is None:
            watts = joules / seconds if joules is not None else None
            told = forecast(trial, choice.chosen, workload, datasets, setup.splits, watts)
    _show(console, choice, workload, told)
    record = {"machine": choice.to_record(workload), "forecast": told.to_record() if told else None}
    candidate = choice.chosen.candidate
    return Plan(with_precision(setup, candidate.bf16), candidate.threads, written, told, record)


def with_precision(setup: TrainingSetup, bf16: bool | None) -> TrainingSetup:
    recipe = setup.recipe
    training_task = copy.copy(setup.training_task)
    training_task.recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"bf16": bf16})})
    return replace(setup, training_task=training_task)


def _show(console: Console, choice: Choice, workload: Workload, told: Forecast | None) -> None:
    def pace(timing: Any) -> str:
        return timing.problem or f"{workload.step_seconds(timing):.3g} s a step"

    others = [f"{each.candidate}: {pace(each)}" for each in choice.timings if each is not choice.chosen]
    beside = f" ({'; '.join(others)})" if others else ""
    line = f"computes in {choice.chosen.candidate}: {pace(choice.chosen)}{beside}"
    console.print(line, highlight=False, markup=False)
    if told:
        console.print(f"forecast {told}", highlight=False, markup=False)


Confirm = Callable[[Forecast], bool]
