"""A training run from top to bottom: base model, data, training, evaluation, report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast, TrainerCallback, set_seed

from serving.errors import InputError
from trainer import facts
from trainer.backbone import Backbone, find_backbone
from trainer.batches import EncodedTexts, padded_by
from trainer.checks import warnings_of
from trainer.data import Splits, fingerprint, load_splits
from trainer.evaluate import evaluate
from trainer.loop import ClassifierTrainer, arguments
from trainer.model import build_model, load_checkpoint, load_tokenizer, save_checkpoint
from trainer.progress import TrainingProgress, show_data, show_summary
from trainer.quiet import quiet_transformers
from trainer.recipe import Recipe
from trainer.report import write_report
from trainer.resume import newest_state
from trainer.rows import Rows
from trainer.run import FINISHED, Run, claim, write_atomically


@dataclass(frozen=True)
class Plan:
    """All that a run is made from: the resolved recipe, the base model and its tokenizer, the rows."""

    recipe: Recipe
    base: Backbone
    tokenizer: PreTrainedTokenizerFast
    splits: Splits

    def facts(self, output: Path) -> dict[str, Any]:
        """The part of run.json that is known before training, and that a run to be resumed must share."""
        return {
            "task": self.recipe.task,
            "labels": self.splits.labels,
            "model": {"id": self.base.id, "source": self.base.source, "sha256": self.base.sha256},
            "recipe": self.recipe.to_mapping(output),
            "data": fingerprint(self.recipe.data, self.splits),
        }


def train(
    recipe: Recipe,
    output: Path,
    *,
    overwrite: bool = False,
    console: Console | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> Run:
    """Do what ``recipe`` says and leave a finished run folder at ``output``.

    An interrupted run of the same recipe and data goes on from its last saved state, to the same weights;
    a finished one is returned as it is. ``overwrite`` replaces another run, never anything else.
    Raises InputError for a recipe, data or folder that cannot be used; the folder is not touched then.
    """
    console, clock, run = console or Console(), facts.Stopwatch(), Run(output)
    with clock.stage("data"):
        plan = _plan(recipe, output)
        record = plan.facts(output)
    if claim(run, record, overwrite) == FINISHED:
        shutil.rmtree(run.state, ignore_errors=True)
        console.print(f"{output} is finished already, with this recipe and data; nothing to do", soft_wrap=True)
        return run
    plan.recipe.save(run.recipe)
    with clock.stage("training"):
        record |= _learn(plan, run, console, callbacks)
    with clock.stage("evaluation"):
        record |= _measure(plan, run)
    record |= {"status": FINISHED, "versions": facts.versions(), "hardware": facts.hardware()}
    with clock.stage("report"):
        write_report(run, record | {"seconds": clock.seconds})
    run.write_record(record | {"seconds": clock.seconds})
    shutil.rmtree(run.state)
    show_summary(console, record)
    return run


def _plan(recipe: Recipe, output: Path) -> Plan:
    base = find_backbone(recipe.model, recipe.to_mapping(output)["model"])
    recipe = resolve(recipe, base)
    tokenizer = load_tokenizer(base.folder, recipe.data.max_length)
    return Plan(recipe, base, tokenizer, load_splits(recipe.data))


def resolve(recipe: Recipe, base: Backbone) -> Recipe:
    """The recipe with every default that depends on the base model or this machine worked out."""
    length = recipe.data.max_length or base.default_length
    if base.max_length and length > base.max_length:
        raise InputError(
            f"data.max_length: {length} is more than {base.id} takes; give at most {base.max_length}",
            field="data.max_length",
        )
    bf16 = facts.computes_in_bf16() if recipe.training.bf16 is None else recipe.training.bf16
    head = recipe.model_head.model_copy(update={"pooling": recipe.model_head.pooling or base.pooling})
    return recipe.model_copy(
        update={
            "model_head": head,
            "data": recipe.data.model_copy(update={"max_length": length}),
            "training": recipe.training.resolved().model_copy(update={"bf16": bf16}),
        }
    )


def _learn(plan: Plan, run: Run, console: Console, callbacks: Sequence[TrainerCallback]) -> dict[str, Any]:
    """Train, or go on training, and save the best checkpoint; returns what the record says of it."""
    train_set, validation_set = (_encode(plan, rows) for rows in (plan.splits.train, plan.splits.validation))
    warnings = warnings_of(plan.splits, train_set.truncated, plan.tokenizer.model_max_length)
    show_data(console, run.read_record(), warnings)
    with TrainingProgress(console) as progress, quiet_transformers():
        trainer = _trainer(plan, run, train_set, validation_set, [progress, *callbacks])
        _train_or_resume(trainer, run, console)
    save_checkpoint(trainer.model, plan.tokenizer, run.checkpoint)
    return {
        "warnings": warnings,
        "seed": plan.recipe.training.seed,
        "best_step": trainer.state.best_global_step,
        "history": _history(trainer),
    }


def _encode(plan: Plan, rows: Rows) -> EncodedTexts:
    numbers = {label: at for at, label in enumerate(plan.splits.labels)}
    labels = [numbers[label] for label in rows.labels]
    return EncodedTexts(plan.tokenizer, rows.texts, labels, plan.tokenizer.model_max_length)


def _trainer(
    plan: Plan, run: Run, train_set: EncodedTexts, validation_set: EncodedTexts, callbacks: list[TrainerCallback]
) -> ClassifierTrainer:
    """A fresh model and its trainer; the seed decides the head's first weights too."""
    settings = plan.recipe.training
    set_seed(settings.seed)
    pooling = plan.recipe.model_head.pooling or plan.base.pooling
    model = build_model(plan.base, pooling, plan.splits.labels, settings.trainable)
    rows_a_step = settings.per_device_train_batch_size * settings.gradient_accumulation_steps
    args = arguments(settings, run.state, steps_an_epoch=-(-len(train_set) // rows_a_step))
    collate = padded_by(plan.tokenizer)
    return ClassifierTrainer(model, settings, args, train_set, validation_set, collate, callbacks)


def _train_or_resume(trainer: ClassifierTrainer, run: Run, console: Console) -> None:
    """Whichever it is, the trainer's model has the best checkpoint's weights after it."""
    saved = newest_state(run.state)
    if saved is None:
        trainer.train()
        return
    console.print(f"going on from step {saved.step}")
    if saved.ended:  # stopped early, then interrupted: one more step would change what is best
        trainer.state = trainer.state.load_from_json(str(saved.folder / "trainer_state.json"))
        trainer.model.load_state_dict(load_file(saved.best / "model.safetensors"))
        return
    trainer.train(resume_from_checkpoint=str(saved.folder.absolute()))


def _measure(plan: Plan, run: Run) -> dict[str, Any]:
    """Validation and test figures of the checkpoint as it lies on disk; the test rows are written beside it."""
    checkpoint = load_checkpoint(run.checkpoint)
    batch_size = plan.recipe.training.per_device_eval_batch_size
    sets = {"validation": plan.splits.validation, "test": plan.splits.test}
    found = {name: evaluate(checkpoint, rows, batch_size) for name, rows in sets.items()}
    _write_evaluation(run, plan.splits.test)
    return {
        "metrics": {name: evaluation.metrics() for name, evaluation in found.items()},
        "errors": found["test"].errors(),
    }


def _write_evaluation(run: Run, test: Rows) -> None:
    rows = ({"inputs": text, "label": label} for text, label in zip(*test.columns(), strict=True))
    write_atomically(run.evaluation, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _history(trainer: ClassifierTrainer) -> list[dict[str, float]]:
    """Training losses and validation figures, each with its step and epoch."""
    kept = {
        "loss": "loss",
        "learning_rate": "learning_rate",
        "eval_loss": "validation_loss",
        "eval_accuracy": "validation_accuracy",
        "eval_macro_f1": "validation_macro_f1",
    }
    points = []
    for entry in trainer.state.log_history:
        values = {name: entry[key] for key, name in kept.items() if key in entry}
        if values:
            points.append({"step": entry["step"], "epoch": entry["epoch"], **values})
    return points
