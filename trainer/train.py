"""A training run from top to bottom: base model, data, training, evaluation, report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from safetensors.torch import load_file
from torch import nn
from transformers import PreTrainedTokenizerFast, TrainerCallback, set_seed

from serving.errors import InputError
from trainer import facts
from trainer.backbone import Backbone, find_backbone
from trainer.batches import EncodedTexts, padded_by
from trainer.checks import warnings_of
from trainer.data import Splits, fingerprint, load_splits
from trainer.evaluate import Evaluation, evaluate
from trainer.loop import ClassifierTrainer, arguments
from trainer.model import build_model, load_checkpoint, load_tokenizer, save_checkpoint
from trainer.progress import TrainingProgress, show_data, show_summary
from trainer.quiet import quiet_transformers
from trainer.recipe import Recipe
from trainer.report import write_report
from trainer.resume import newest_state
from trainer.rows import Rows
from trainer.run import FINISHED, Run, claim, write_atomically


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
    Raises InputError for a recipe, data or folder that cannot be used, before anything is written.
    """
    console, clock, run = console or Console(), facts.Stopwatch(), Run(output)
    with clock.stage("data"):
        base = find_backbone(recipe.model, recipe.to_mapping(output)["model"])
        recipe = resolve(recipe, base)
        splits = load_splits(recipe.data)
    record = _intent(recipe, base, splits, output)
    if claim(run, record, overwrite) == FINISHED:
        shutil.rmtree(run.state, ignore_errors=True)
        console.print(
            f"{output} is finished already, with this recipe and data; nothing to do", soft_wrap=True
        )
        return run
    recipe.save(run.recipe)
    tokenizer = load_tokenizer(base.folder, recipe.data.max_length)
    encoded = {name: _encode(rows, splits.labels, tokenizer) for name, rows in splits.named()[:2]}
    warnings = warnings_of(splits, encoded["train"].truncated, tokenizer.model_max_length)
    show_data(console, record, warnings)
    with clock.stage("training"):
        trainer = _fit(recipe, base, splits.labels, tokenizer, encoded, run, console, callbacks)
        save_checkpoint(trainer.model, tokenizer, run.checkpoint)
    with clock.stage("evaluation"):
        found = _evaluate(run, splits, recipe.training.per_device_eval_batch_size)
    _write_evaluation(run, splits.test)
    record |= {
        "status": FINISHED,
        "warnings": warnings,
        "metrics": {name: evaluation.metrics() for name, evaluation in found.items()},
        "errors": found["test"].errors(),
        "history": _history(trainer),
        "best_step": trainer.state.best_global_step,
        "seed": recipe.training.seed,
        "versions": facts.versions(),
        "hardware": facts.hardware(),
    }
    with clock.stage("report"):
        write_report(run, record | {"seconds": clock.seconds})
    run.write_record(record | {"seconds": clock.seconds})
    shutil.rmtree(run.state)
    show_summary(console, record)
    return run


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


def _intent(recipe: Recipe, base: Backbone, splits: Splits, output: Path) -> dict[str, Any]:
    """The part of run.json that is known before training, and that a run to be resumed must share."""
    return {
        "task": recipe.task,
        "labels": splits.labels,
        "model": {"id": base.id, "source": base.source, "sha256": base.sha256},
        "recipe": recipe.to_mapping(output),
        "data": fingerprint(recipe.data, splits),
    }


def _encode(rows: Rows, labels: Sequence[str], tokenizer: PreTrainedTokenizerFast) -> EncodedTexts:
    numbers = {label: at for at, label in enumerate(labels)}
    return EncodedTexts(
        tokenizer, rows.texts, [numbers[label] for label in rows.labels], tokenizer.model_max_length
    )


def _fit(
    recipe: Recipe,
    base: Backbone,
    labels: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    encoded: dict[str, EncodedTexts],
    run: Run,
    console: Console,
    callbacks: Sequence[TrainerCallback],
) -> ClassifierTrainer:
    """Train, or go on training; the trainer that comes back holds the best checkpoint's weights."""
    settings = recipe.training
    set_seed(settings.seed)
    model = build_model(base, recipe.model_head.pooling or base.pooling, labels, settings.trainable)
    steps = -(
        -len(encoded["train"])
        // (settings.per_device_train_batch_size * settings.gradient_accumulation_steps)
    )
    with TrainingProgress(console) as progress, quiet_transformers():
        trainer = ClassifierTrainer(
            model,
            settings,
            arguments(settings, run.state, steps),
            encoded["train"],
            encoded["validation"],
            padded_by(tokenizer),
            [progress, *callbacks],
        )
        _train_or_resume(trainer, model, run, console)
    return trainer


def _train_or_resume(trainer: ClassifierTrainer, model: nn.Module, run: Run, console: Console) -> None:
    saved = newest_state(run.state)
    if saved is None:
        trainer.train()
        return
    console.print(f"going on from step {saved.step}")
    if saved.ended:  # stopped early, then interrupted: one more step would change what is best
        trainer.state = trainer.state.load_from_json(str(saved.folder / "trainer_state.json"))
        model.load_state_dict(load_file(saved.best / "model.safetensors"))
        return
    trainer.train(resume_from_checkpoint=str(saved.folder.absolute()))


def _evaluate(run: Run, splits: Splits, batch_size: int) -> dict[str, Evaluation]:
    """Validation and test, by the checkpoint as it lies on disk."""
    checkpoint = load_checkpoint(run.checkpoint)
    sets = {"validation": splits.validation, "test": splits.test}
    return {name: evaluate(checkpoint, rows, batch_size) for name, rows in sets.items()}


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
