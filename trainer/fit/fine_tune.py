"""Fine-tuning: build the model, train or resume it, average weights where the recipe asks, save the best."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor
from transformers import TrainerCallback, set_seed

from trainer.fit.compilation import require_compiler
from trainer.fit.distil.distil_trainer import DistilTrainer
from trainer.fit.distil.lesson import teach
from trainer.fit.distil.static_student import build_static
from trainer.fit.linear_probe import check_probe, fit_head
from trainer.fit.model_soup import ModelSoup, Record, Train
from trainer.fit.optimisation.unfreezing import GradualUnfreezing
from trainer.fit.privacy.accounting import require_opacus
from trainer.fit.progress import TrainingProgress
from trainer.fit.resume import SavedState, newest_state, readable_state
from trainer.fit.stopping import SaveBetween
from trainer.fit.trainer import TaskTrainer, arguments
from trainer.fit.validation import Datasets, tune_and_save
from trainer.fit.weight_averaging import EpochWeights, copy_trainable, put_trainable
from trainer.fit.wise_ft import interpolate
from trainer.model.architecture import is_static
from trainer.model.checkpoint import build_model
from trainer.model.fewer_layers import keep_layers
from trainer.model.heads import Model, set_bias
from trainer.model.quiet import quiet_transformers
from trainer.model.trainable import choose_weights, merge_adapters
from trainer.model.trained_head import carry_head
from trainer.recipe.applicability import adds_noise
from trainer.recipe.training import EPOCHS
from trainer.run.processes import count, first_goes_ahead, from_first, is_first, rank, told_losses
from trainer.run.run import Run
from trainer.setup.training_setup import TrainingSetup

APPLE = "training on Apple's GPU (mps): Tuneship is not tested there, and a resumed run may have other weights"


def fine_tune(
    setup: TrainingSetup, datasets: Datasets, run: Run, console: Console, callbacks: Sequence[TrainerCallback]
) -> Record:
    """Train or resume, and save the best checkpoint; returns its part of the run's record."""
    settings = setup.recipe.training
    if setup.teachers:
        with first_goes_ahead():
            datasets = teach(setup, datasets, run.state, console)
    with TrainingProgress(console, setup.recipe.metric) as progress, quiet_transformers():
        train = partial(_train_one, setup, datasets, console, [progress, *callbacks])
        if runs := settings.weight_soup_runs:
            trainer, record = _train_soup(setup, datasets, run.state, runs, train)
        else:
            trainer, record = train(settings.seed, run.state)
        interpolated = (
            interpolate(trainer, _fresh_model(setup, datasets).backbone) if settings.weight_interpolation else None
        )
    if not is_first():
        return record
    return {
        **tune_and_save(setup, run, trainer.model, datasets),
        "seed": settings.seed,
        "metric": setup.recipe.metric,
        **record,
        "interpolated": interpolated,
    }


def _train_one(
    setup: TrainingSetup,
    datasets: Datasets,
    console: Console,
    callbacks: Sequence[TrainerCallback],
    seed: int,
    state: Path,
) -> tuple[TaskTrainer, Record]:
    settings = setup.recipe.training
    if settings.weight_soup_runs:
        console.print(f"training with seed {seed}", highlight=False)
    count = settings.weight_averaging_epochs
    epochs = EpochWeights(state, count, settings.num_train_epochs or EPOCHS) if count else None
    trainer = create_trainer(setup, datasets, seed, state, [*([epochs] if epochs else []), *callbacks])
    if trainer.args.device.type == "mps":
        console.print(f"[yellow]warning[/yellow] {APPLE}", highlight=False)
    if note := trainer.note():
        console.print(note, highlight=False, markup=False)
    saved = from_first(lambda: newest_state(state))
    if settings.probe_examples_per_label and saved is None:
        fit_head(setup, trainer)
    if rank():
        torch.manual_seed(seed + rank())  # or each process would drop the same places of other rows
    with told_losses():
        _train_or_resume(trainer, saved, console)
    averaged = {"epochs": list(epochs.epochs), **_try_mean(trainer, epochs.mean())} if epochs else None
    ema = {"decay": trainer.ema.decay, **_try_mean(trainer, trainer.ema.weights)} if trainer.ema else None
    merge_adapters(trainer.model)
    best_step = None if any(mean and mean["kept"] for mean in (averaged, ema)) else _kept_step(trainer)
    record = {"best_step": best_step, "averaged": averaged, "ema": ema, "history": _history(trainer)}
    return trainer, record | trainer.to_record()


def _train_soup(
    setup: TrainingSetup, datasets: Datasets, state: Path, runs: int, train: Train
) -> tuple[TaskTrainer, Record]:
    seed = setup.recipe.training.seed
    soup = ModelSoup(state / "soup", range(seed, seed + runs))
    soup.train_members(train)
    trainer = create_trainer(setup, datasets, seed, state, [])
    merge_adapters(trainer.model)
    return trainer, soup.apply(trainer)


def create_trainer(
    setup: TrainingSetup, datasets: Datasets, seed: int, state: Path, callbacks: Sequence[TrainerCallback]
) -> TaskTrainer:
    """The head's first weights come from the recipe's seed, all else from ``seed``."""
    settings = setup.recipe.training
    set_seed(settings.seed)
    model = _fresh_model(setup, datasets)
    private = adds_noise(setup.recipe)
    bias = None if private else setup.training_task.initial_bias(setup.splits.train, setup.splits.labels)
    if bias:
        set_bias(model, bias)
    if setup.trained_head and setup.carried:
        carry_head(model, setup.task, setup.base, setup.trained_head, setup.carried)
    if settings.probe_examples_per_label:
        check_probe(setup, model)
    choose_weights(model, settings)
    steps = -(-len(datasets.train) // settings.rows_a_step(count()))
    layers = settings.gradual_unfreezing
    first: list[TrainerCallback] = [GradualUnfreezing(model, layers)] if layers else []
    first += [SaveBetween(settings.save_steps)] if settings.save_steps else []
    if private:  # a batch is the rows of a step, and rows are clipped, not their mean
        settings = settings.model_copy(update={"gradient_accumulation_steps": 1, "max_grad_norm": 0.0})
    args = arguments(settings, setup.recipe.metric, state, steps, seed)
    if settings.torch_compile:
        require_compiler(args.device)
    return _kind_of_trainer(setup)(model, args, datasets, [*first, *callbacks])


def _kind_of_trainer(setup: TrainingSetup) -> type[TaskTrainer]:
    if adds_noise(setup.recipe):
        require_opacus(setup.recipe)
        from trainer.fit.privacy.private_trainer import PrivateTrainer  # with Opacus, which is an extra

        return PrivateTrainer
    return DistilTrainer if setup.teachers else TaskTrainer


def _fresh_model(setup: TrainingSetup, datasets: Datasets) -> Model:
    if is_static(setup.base.config):
        return build_static(setup, datasets.token_vectors)
    model = build_model(setup.base, setup.model_spec, setup.splits.labels)
    if kept := setup.kept_layers:
        keep_layers(model, kept)
    return model


def _try_mean(trainer: TaskTrainer, mean: dict[str, Tensor]) -> Record:
    """Keep mean weights unless validation prefers the model's own."""
    before, metric = copy_trainable(trainer.model), trainer.args.metric_for_best_model
    put_trainable(trainer.model, mean)
    metrics = trainer.validate()
    kept = not trainer.args.load_best_model_at_end or metrics[metric] >= trainer.state.best_metric
    if not kept:
        put_trainable(trainer.model, before)
    return {"kept": kept, "validation": metrics}


def _kept_step(trainer: TaskTrainer) -> int:
    state = trainer.state
    return int(state.best_global_step if trainer.args.load_best_model_at_end else state.global_step)


def _train_or_resume(trainer: TaskTrainer, saved: SavedState | None, console: Console) -> None:
    """After it the trainer's model has the best checkpoint's weights, or the last ones where the recipe keeps them."""
    if saved is None:
        trainer.train()
        return
    console.print(f"resuming from step {saved.step}")
    if saved.ended:  # interrupted after its last step: one more would change what is best
        trainer.state = trainer.state.load_from_json(str(saved.folder / "trainer_state.json"))
        kept = (trainer.args.load_best_model_at_end and saved.best) or saved.folder
        trainer.model.load_state_dict(load_file(kept / "model.safetensors"))
        trainer.load_beside(saved.folder)
        return
    with readable_state(saved):
        trainer.train(resume_from_checkpoint=str(saved.folder.absolute()))


def _history(trainer: TaskTrainer) -> list[dict[str, Any]]:
    points = []
    for entry in trainer.state.log_history:
        values = {name: entry[name] for name in ("loss", "learning_rate") if name in entry}
        values |= {key.replace("eval_", "validation_", 1): entry[key] for key in entry if key.startswith("eval_")}
        if values:
            points.append({"step": entry["step"], "epoch": entry["epoch"], **values})
    return points
