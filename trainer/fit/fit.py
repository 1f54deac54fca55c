"""The two ways to a checkpoint: training, which can be resumed, and a classifier fitted to a handful of examples."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from safetensors.torch import load_file
from transformers import TrainerCallback, set_seed

from serving.tasks.base import TaskSettings
from trainer.fit.batches import Examples
from trainer.fit.few_shot import describe_labels, fit_classifier, sample_examples, sentence_vectors
from trainer.fit.model_soup import Facts, ModelSoup, Train
from trainer.fit.progress import TrainingProgress, show_data
from trainer.fit.resume import newest_state
from trainer.fit.trainer import TaskTrainer, arguments
from trainer.fit.validation import Datasets, tune
from trainer.fit.weight_averaging import EpochWeights, learned_weights, put_weights
from trainer.fit.wise_ft import interpolate
from trainer.model.checkpoint import build_model, save_checkpoint
from trainer.model.heads import Model, PooledClassifier, backbone_of, set_bias
from trainer.model.quiet import quiet_transformers
from trainer.model.trainable import choose_weights, merge_adapters
from trainer.recipe.sections import FewShot
from trainer.run.run import Run
from trainer.setup.data_warnings import warnings_of
from trainer.setup.training_setup import TrainingSetup


def fine_tune(setup: TrainingSetup, run: Run, console: Console, callbacks: Sequence[TrainerCallback]) -> dict[str, Any]:
    """Train, or go on training, and save the best checkpoint; returns what the record says of it."""
    datasets, settings = encode_datasets(setup), setup.recipe.training
    warnings = warnings_of(setup.splits, datasets.train.truncated, setup.tokenizer.model_max_length)
    show_data(console, run.read_record(), warnings)
    with TrainingProgress(console, setup.recipe.metric) as progress, quiet_transformers():
        train = partial(_trained, setup, datasets, console, [progress, *callbacks])
        if runs := settings.weight_soup_runs:
            trainer, found = _souped(setup, datasets, run.state, runs, train)
        else:
            trainer, found = train(settings.seed, run.state)
        interpolated = _interpolated(trainer, setup) if settings.weight_interpolation else None
    tuned = _save(setup, run, trainer.model, datasets)
    return {
        "settings": tuned.model_dump(mode="json"),
        "warnings": warnings,
        "seed": settings.seed,
        "metric": setup.recipe.metric,
        **found,
        "interpolated": interpolated,
    }


def fit_few_shot(setup: TrainingSetup, few: FewShot, run: Run, console: Console) -> dict[str, Any]:
    """Fit a classifier to a handful of examples and save it; returns what the record says of it."""
    settings, splits, datasets = setup.recipe.training, setup.splits, encode_datasets(setup)
    warnings = warnings_of(splits, datasets.train.truncated, setup.tokenizer.model_max_length)
    show_data(console, run.read_record(), warnings)
    model = build_model(setup.base, setup.model_spec, splits.labels)
    assert isinstance(model, PooledClassifier)
    some = splits.train.take(sample_examples(splits.train, splits.labels, few.examples_per_label, settings.seed))
    described_labels = describe_labels(few, splits.labels)
    items = [
        *(item for inputs in some.inputs for item in setup.training_task.items(setup.task, inputs)),
        *described_labels,
    ]
    vectors = sentence_vectors(model, setup.tokenizer, setup.task, items, settings.per_device_eval_batch_size)
    numbers = [splits.labels.index(target) for target in some.targets]
    fit_classifier(vectors[: len(some)], numbers, vectors[len(some) :], settings.seed).put_into(model)
    found = _save(setup, run, model, datasets)
    return {
        "settings": found.model_dump(mode="json"),
        "warnings": warnings,
        "seed": settings.seed,
        "metric": setup.recipe.metric,
        "examples": len(some),
        "best_step": None,
        "history": [],
    }


def _save(setup: TrainingSetup, run: Run, model: Model, datasets: Datasets) -> TaskSettings:
    """The checkpoint, with the settings that validation taught."""
    settings = tune(model.eval(), datasets, setup.recipe.training.per_device_eval_batch_size)
    task = setup.training_task.task(setup.splits.labels, settings)
    save_checkpoint(model, setup.model_spec, task, setup.tokenizer, run.checkpoint)
    return settings


def _trained(
    setup: TrainingSetup,
    datasets: Datasets,
    console: Console,
    callbacks: Sequence[TrainerCallback],
    seed: int,
    state: Path,
) -> tuple[TaskTrainer, Facts]:
    """One training, or the rest of it: its trainer, adapters merged, and what the record says."""
    if setup.recipe.training.weight_soup_runs:
        console.print(f"training with seed {seed}", highlight=False)
    mean = _epoch_weights(setup, state)
    trainer = _trainer(setup, datasets, seed, state, [*([mean] if mean else []), *callbacks])
    _train_or_resume(trainer, state, console)
    averaged = _averaged(trainer, mean) if mean else None
    merge_adapters(trainer.model)
    best_step = None if averaged and averaged["kept"] else _kept_step(trainer)
    return trainer, {"best_step": best_step, "averaged": averaged, "history": _history(trainer)}


def _souped(
    setup: TrainingSetup, datasets: Datasets, state: Path, runs: int, train: Train
) -> tuple[TaskTrainer, Facts]:
    """The mean of trainings with the recipe's seed and those after it: a trainer with it, and what the record says."""
    seed = setup.recipe.training.seed
    soup = ModelSoup(state / "soup", range(seed, seed + runs))
    soup.train_members(train)
    trainer = _trainer(setup, datasets, seed, state, [])
    merge_adapters(trainer.model)
    return trainer, soup.apply(trainer)


def _trainer(
    setup: TrainingSetup, datasets: Datasets, seed: int, state: Path, callbacks: Sequence[TrainerCallback]
) -> TaskTrainer:
    """A fresh model and its trainer. The head's first weights come from the recipe's seed, all else from ``seed``."""
    settings = setup.recipe.training
    set_seed(settings.seed)
    model = build_model(setup.base, setup.model_spec, setup.splits.labels)
    bias = setup.training_task.initial_bias(setup.splits.train, setup.splits.labels)
    if bias is not None:
        set_bias(model, bias)
    choose_weights(model, settings)
    rows_a_step = settings.per_device_train_batch_size * settings.gradient_accumulation_steps
    steps = -(-len(datasets.train) // rows_a_step)
    return TaskTrainer(model, arguments(settings, setup.recipe.metric, state, steps, seed), datasets, [*callbacks])


def _epoch_weights(setup: TrainingSetup, state: Path) -> EpochWeights | None:
    """What keeps the epochs' weights, if the recipe wants their mean."""
    settings = setup.recipe.training
    count = settings.weight_averaging_epochs
    return EpochWeights(state, count, settings.num_train_epochs) if count else None


def _averaged(trainer: TaskTrainer, mean: EpochWeights) -> dict[str, Any]:
    """Give the model the mean of the epochs' weights, unless validation prefers what it has; what the record says."""
    before, metric = learned_weights(trainer.model), trainer.args.metric_for_best_model
    put_weights(trainer.model, mean.weights())
    found = trainer.validated()
    kept = not trainer.args.load_best_model_at_end or found[metric] >= trainer.state.best_metric
    if not kept:
        put_weights(trainer.model, before)
    return {"epochs": list(mean.epochs), "kept": kept, "validation": found}


def _interpolated(trainer: TaskTrainer, setup: TrainingSetup) -> dict[str, Any]:
    """Go back towards the base model as far as validation likes it; what the record says."""
    return interpolate(trainer, backbone_of(build_model(setup.base, setup.model_spec, setup.splits.labels)))


def _kept_step(trainer: TaskTrainer) -> int:
    state = trainer.state
    return int(state.best_global_step if trainer.args.load_best_model_at_end else state.global_step)


def _train_or_resume(trainer: TaskTrainer, state: Path, console: Console) -> None:
    """Whichever it is, the trainer's model has the best checkpoint's weights after it."""
    saved = newest_state(state)
    if saved is None:
        trainer.train()
        return
    console.print(f"going on from step {saved.step}")
    if saved.ended:  # stopped early, then interrupted: one more step would change what is best
        trainer.state = trainer.state.load_from_json(str(saved.folder / "trainer_state.json"))
        trainer.model.load_state_dict(load_file(saved.best / "model.safetensors"))
        return
    trainer.train(resume_from_checkpoint=str(saved.folder.absolute()))


def _history(trainer: TaskTrainer) -> list[dict[str, float]]:
    """Training losses and validation figures, each with its step and epoch."""
    points = []
    for entry in trainer.state.log_history:
        values = {name: entry[name] for name in ("loss", "learning_rate") if name in entry}
        values |= {key.replace("eval_", "validation_", 1): entry[key] for key in entry if key.startswith("eval_")}
        if values:
            points.append({"step": entry["step"], "epoch": entry["epoch"], **values})
    return points


def encode_datasets(setup: TrainingSetup) -> Datasets:
    """The training and validation rows, encoded."""
    task, splits = setup.task, setup.splits
    train, validation = (
        Examples(setup.training_task, task, setup.tokenizer, rows) for rows in (splits.train, splits.validation)
    )
    return Datasets(setup.training_task, task, setup.tokenizer, train, validation, splits.validation)
