"""What a training will take, from its timed steps: time, memory and energy."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from trainer.fit.batches import collator
from trainer.fit.machine.meters import peak_memory
from trainer.fit.machine.trial import Timing, Trial
from trainer.fit.machine.workload import Workload, pass_seconds
from trainer.fit.validation import Datasets
from trainer.fit.window_merging import COUNTS
from trainer.fit.wise_ft import FRACTIONS
from trainer.recipe.training import Training
from trainer.run.environment import torch_threads
from trainer.run.processes import count
from trainer.setup.splits import Splits

LONGEST_SHARE = 0.02
"""Of the training, which a step on the longest batch may take."""


@dataclass(frozen=True)
class Forecast:
    """``seconds`` by stage, ``memory`` in bytes at the peak, ``joules`` where the machine tells them.

    Not in it: a generating model's answers to the test rows, a teacher's to the training rows, and reading the data.
    """

    steps: int
    seconds: dict[str, float]
    memory: int
    joules: float | None

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())

    def to_record(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        energy = f"{self.joules / 3600:.2g} Wh" if self.joules is not None else "energy not readable here"
        return f"about {format_seconds(self.total_seconds)}, {self.memory / 1e9:.1f} GB, {energy}"


def forecast(
    trial: Trial, timing: Timing, workload: Workload, datasets: Datasets, splits: Splits, watts: float | None
) -> Forecast:
    sample = datasets.sample()
    with torch_threads(timing.candidate.threads):
        pace = _evaluation_pace(trial, sample)
    validation = pace * _tokens(sample) * len(datasets.validation) / max(len(sample.validation), 1)
    tests = sum(map(len, [splits.test, *splits.tests.values()])) / max(len(splits.validation), 1)
    training = datasets.training_task.recipe.training
    seconds = {
        "training": workload.training_seconds(timing) + validation / count() * _evaluations(training, workload),
        "evaluation": validation * (1 + tests),
    }
    _try_longest(trial, timing, workload, sample)
    joules = watts * sum(seconds.values()) if watts is not None else None
    return Forecast(workload.steps, {name: round(each, 1) for name, each in seconds.items()}, peak_memory(), joules)


def format_seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _evaluations(training: Training, workload: Workload) -> int:
    """Of the validation rows, within the training."""
    each = workload.steps // training.eval_steps if training.eval_steps else math.ceil(workload.epochs)
    soup = workload.trainings + 1 if workload.trainings > 1 else 0
    averaged = workload.trainings if training.weight_averaging_epochs else 0
    return each + soup + averaged + (len(FRACTIONS) if training.weight_interpolation else 0) + 1


@torch.inference_mode()
def _evaluation_pace(trial: Trial, datasets: Datasets) -> float:
    """Seconds a token, of a usual batch in fp32; the second of two, as the first warms up."""
    trainer, lengths = trial.trainer, datasets.validation.lengths()
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    size = min(trainer.args.eval_batch_size, len(order))
    middle = (len(order) - size) // 2
    batch = _collate(datasets, datasets.validation, order[middle : middle + size])
    windows = {name: value[:size] for name, value in batch.items() if name not in ("labels", COUNTS)}
    inputs = trainer._prepare_inputs(windows)
    trainer.model.eval()
    for _ in range(2):
        start = time.perf_counter()
        float(trainer.model(**inputs)["logits"].sum())
        seconds = time.perf_counter() - start
    return seconds / int(inputs["input_ids"].numel())


def _tokens(datasets: Datasets) -> int:
    return sum(len(window.ids) for example in iter(datasets.validation) for window in example.windows)


def _try_longest(trial: Trial, timing: Timing, workload: Workload, datasets: Datasets) -> None:
    """The longest batch decides about memory; it is left out where a step on it takes too long."""
    length = max(workload.lengths)
    seconds = pass_seconds(timing, length) + timing.update
    if length in trial.batches or seconds > LONGEST_SHARE * workload.training_seconds(timing):
        return
    lengths, size = datasets.train.lengths(), trial.trainer.args.train_batch_size
    longest = sorted(range(len(lengths)), key=lengths.__getitem__)[-size:]
    trial.batches[length] = _collate(datasets, datasets.train, longest)
    trial.run(Timing(timing.candidate), [length])


def _collate(datasets: Datasets, examples: Any, indices: Sequence[int]) -> dict[str, Any]:
    return collator(datasets.tokenizer, datasets.training_task)([examples[index] for index in indices])
