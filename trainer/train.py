"""A training run from top to bottom: base model, data, training, evaluation, report, lock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerCallback

from trainer import facts
from trainer.energy import EnergyMeter
from trainer.evaluate import Evaluation, evaluate
from trainer.hold import held
from trainer.learn import fit, learn
from trainer.lock import locked_by
from trainer.model import load_checkpoint
from trainer.plan import Plan, make_plan
from trainer.progress import show_summary
from trainer.recipe import Recipe
from trainer.report import write_report
from trainer.rows import Rows
from trainer.run import FINISHED, Run, claim, usable, write_atomically


def train(
    recipe: Recipe,
    output: Path,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    console: Console | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Run:
    """Do what ``recipe`` says and leave a finished run folder at ``output``.

    An interrupted run of the same recipe and data goes on from its last saved state, to the same weights;
    a finished one is returned as it is. ``overwrite`` replaces another run, never anything else. ``threads`` are
    torch's, of a fresh run; one that goes on keeps those that it began with, because sums depend on them.
    Raises InputError for a recipe, data or folder that cannot be used, the folder is not touched then, and where
    another training is at work in it.
    """
    console, clock, meter, run = console or Console(), facts.Stopwatch(), EnergyMeter(), Run(output)
    with clock.stage("data"):
        plan = make_plan(recipe, output)
        record = plan.facts(output)
    usable(run)
    with held(output):
        if claim(run, record, overwrite) == FINISHED:
            shutil.rmtree(run.state, ignore_errors=True)
            plan.recipe.save(run.recipe)  # what an export may lose is no part of the training, and may be another now
            console.print(f"{output} is finished already, with this recipe and data; nothing to do", soft_wrap=True)
            return run
        with locked_by(run, record, plan.base, threads, console) as lock:
            record |= _make(plan, run, clock, console, callbacks)
            lock.finished(run, record["metrics"]).write(run)
        run.write_record(record | {"seconds": clock.seconds, "energy_joules": meter.joules})
        shutil.rmtree(run.state, ignore_errors=True)
    show_summary(console, record)
    return run


def _make(
    plan: Plan, run: Run, clock: facts.Stopwatch, console: Console, callbacks: Sequence[TrainerCallback]
) -> dict[str, Any]:
    """Checkpoint, figures and report; returns what the record says of them."""
    plan.recipe.save(run.recipe)
    few = plan.recipe.few_shot
    with clock.stage("training"):
        record = fit(plan, few, run, console) if few else learn(plan, run, console, callbacks)
    with clock.stage("evaluation"):
        record |= _measure(plan, run)
    record |= {"status": FINISHED, "versions": facts.versions(), "hardware": facts.hardware()}
    with clock.stage("report"):
        write_report(run, plan.facts(run.root) | record | {"seconds": clock.seconds})
    return record


def _measure(plan: Plan, run: Run) -> dict[str, Any]:
    """Validation and test figures of the checkpoint as it lies on disk; the test rows are written beside it."""
    checkpoint = load_checkpoint(run.checkpoint)
    batch_size = plan.recipe.training.per_device_eval_batch_size
    splits = plan.splits

    def measured(sets: dict[str, Rows]) -> dict[str, Evaluation]:
        return {name: evaluate(checkpoint, plan.learning, rows, batch_size) for name, rows in sets.items()}

    found, apart = measured({"validation": splits.validation, "test": splits.test}), measured(splits.tests)
    _write_evaluation(run, splits.test)
    return {
        "metrics": {name: evaluation.metrics() for name, evaluation in found.items()},
        "test_sets": {name: evaluation.metrics() for name, evaluation in apart.items()},
        "errors": found["test"].errors(),
    }


def _write_evaluation(run: Run, test: Rows) -> None:
    rows = ({"inputs": inputs, "target": target} for inputs, target in test.pairs())
    write_atomically(run.evaluation, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
