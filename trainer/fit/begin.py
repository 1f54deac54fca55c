"""What a training begins with: encoded rows, the way to compute, and what that will take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from serving.errors import UserError
from trainer.fit.machine.forecast import Forecast
from trainer.fit.machine.plan import plan_training, with_precision
from trainer.fit.privacy.base import require_unseen_rows
from trainer.fit.validation import Datasets, encode_datasets
from trainer.run.disk import require_disk
from trainer.setup.training_setup import TrainingSetup


class NotConfirmed(UserError):
    """The user does not want a training that takes so long."""


@dataclass(frozen=True)
class Begun:
    """``record`` is what run.json says of it before training; ``threads`` None: the lock's, or torch's own."""

    setup: TrainingSetup
    datasets: Datasets
    threads: int | None
    record: dict[str, Any]
    forecast: Forecast | None = None
    resumed: bool = False


def begin(
    setup: TrainingSetup,
    output: Path,
    console: Console,
    threads: int | None = None,
    confirm: Callable[[Forecast], bool] = lambda forecast: True,
) -> Begun:
    """A fresh run, of which nothing is written yet; raises InputError or NotConfirmed."""
    require_unseen_rows(setup)
    record = setup.to_record(output)
    datasets, warnings = encode_datasets(setup, record, console)
    if setup.recipe.few_shot:
        return Begun(setup, datasets, threads, record | {"warnings": warnings})
    plan = plan_training(setup, datasets, console, threads)
    require_disk(output, plan.state_bytes, "the training writes")
    if plan.forecast and not confirm(plan.forecast):
        raise NotConfirmed(f"{output}: nothing was trained or written")
    datasets = replace(datasets, training_task=plan.setup.training_task)
    record = plan.setup.to_record(output) | plan.record | {"warnings": warnings}
    return Begun(plan.setup, datasets, plan.threads, record, plan.forecast)


def resume(setup: TrainingSetup, output: Path, before: dict[str, Any], console: Console) -> Begun:
    """A run whose record is there; ``setup`` is that of `go_on`."""
    record = before | setup.to_record(output)
    datasets, warnings = encode_datasets(setup, record, console)
    return Begun(setup, datasets, None, record | {"warnings": warnings}, resumed=True)


def go_on(setup: TrainingSetup, before: dict[str, Any]) -> TrainingSetup:
    """The setup of a run whose record is there: where the recipe is silent, in the precision that it has."""
    if setup.recipe.training.bf16 is not None:
        return setup
    return with_precision(setup, before["recipe"].get("training", {}).get("bf16"))
