"""transformers' Trainer with four corrections.

- The batch order depends on seed and epoch alone, so that a resumed run sees the same batches.
- Evaluation restores the random states, so that its frequency does not change the weights.
- The accumulated loss is the mean over all labels of a step.
- Validation scores whole answers, in fp32.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainingArguments,
)

from serving.errors import UserError
from trainer.fit.batches import collator
from trainer.fit.compilation import compile_steps
from trainer.fit.distributed.empty_batches import EMPTY, with_empty_batches
from trainer.fit.distributed.sharding import ShardedModel, WholeOptimizer
from trainer.fit.machine.dropout import quicken_dropout
from trainer.fit.no_duplicates import create_sampler
from trainer.fit.optimisation.ema import WeightEma
from trainer.fit.optimisation.parameter_groups import parameter_groups
from trainer.fit.optimisation.schedule import create_schedule
from trainer.fit.step_batches import StepBatches
from trainer.fit.validation import Datasets, validate
from trainer.fit.window_merging import merging
from trainer.model.heads import Model
from trainer.recipe.training import Training
from trainer.run.processes import broadcast, count, largest, raised_by_all, rank, wait

LOGS_AN_EPOCH = 10
_OPTIMISERS = {"adamw": "adamw_torch_fused"}
_SAME_NAMES = {
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "per_device_eval_batch_size",
    "gradient_accumulation_steps", "weight_decay", "max_grad_norm", "eval_strategy", "eval_steps",
    "load_best_model_at_end", "max_steps", "save_total_limit", "adam_beta1", "adam_beta2", "adam_epsilon",
}  # fmt: skip


class TrainingDiverged(UserError):
    """The training loss is no finite number."""


def arguments(settings: Training, metric: str, state: Path, steps_an_epoch: int, seed: int) -> TrainingArguments:
    """``seed`` is that of dropout and batch order."""
    args = TrainingArguments(
        **settings.model_dump(include=_SAME_NAMES, exclude_none=True),
        output_dir=str(state.absolute()),
        activation_checkpointing=settings.gradient_checkpointing,
        warmup_steps=settings.warmup_ratio or 0.0,
        optim=_OPTIMISERS.get(settings.optim, settings.optim),
        seed=seed,
        save_strategy=settings.eval_strategy,
        save_steps=settings.eval_steps or 500,
        metric_for_best_model=metric,
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        logging_strategy="steps",
        logging_steps=settings.logging_steps or max(1, steps_an_epoch // LOGS_AN_EPOCH),
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
        label_names=["labels"],
        use_cpu=count() > 1 and not torch.cuda.is_available(),  # or accelerate would not see the other processes
        ddp_find_unused_parameters=True,  # poolers that no task reads, and layers that are frozen for an epoch
    )
    args._n_gpu = min(args.n_gpu, 1)  # a GPU a process: two in one would double the batch
    return args


_NOT_WRITTEN = ("inline_container", "iostream error")
"""What torch.save says of a file that it could not write."""


class StateNotWritten(UserError):
    """torch could not write its state, and does not say why."""


def state_bytes(model: nn.Module, settings: Training) -> int:
    """The least that a training takes on disk: a state beside the one that is being written, and the checkpoint."""
    weights = sum(each.numel() * each.element_size() for each in model.parameters())
    trained = sum(each.numel() * 4 for each in model.parameters() if each.requires_grad)
    moments = {"adamw": 2, "sgd": 1 if settings.momentum else 0, "adafactor": 0}[settings.optim]
    copies = moments + (1 if settings.ema_decay else 0)
    return 2 * (weights + copies * trained) + weights


class TaskTrainer(Trainer):  # type: ignore[misc]
    model: Any
    optimizer: Any

    def __init__(
        self, model: Model, args: TrainingArguments, datasets: Datasets, callbacks: list[TrainerCallback]
    ) -> None:
        self.datasets = datasets
        self.settings = datasets.training_task.recipe.training
        self.bf16 = bool(self.settings.bf16)
        self.compiled: nn.Module | None = None
        patience, decay = self.settings.early_stopping_patience, self.settings.ema_decay
        self.ema = WeightEma(decay) if decay else None
        self.sharded: ShardedModel | None = None
        own = [*([self.ema] if self.ema else []), *([EarlyStoppingCallback(patience)] if patience else [])]
        super().__init__(
            model=model,
            args=args,
            train_dataset=datasets.train,
            eval_dataset=datasets.validation,
            data_collator=collator(datasets.tokenizer, datasets.training_task),
            compute_loss_func=self._loss,
            callbacks=[*callbacks, *own],
        )
        self.model_accepts_loss_kwargs = False
        self.remove_callback(PrinterCallback)
        if self.args.device.type == "cpu" and not self.settings.torch_compile:
            quicken_dropout(self.model)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """By groups of their own: backbone and head, layers, with and without decay."""
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        if self.settings.optim == "sgd":
            options["momentum"] = self.settings.momentum
        groups = parameter_groups(self.model, self.settings, set(self.get_decay_parameter_names(self.model)))
        optimizer: torch.optim.Optimizer = kind(groups, **options)
        self.optimizer = optimizer
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        warmup = self.args.get_warmup_steps(num_training_steps)
        self.lr_scheduler = create_schedule(self.settings, optimizer or self.optimizer, num_training_steps, warmup)
        return self.lr_scheduler

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Of this process; accelerate's shards would repeat rows where the last step has too few."""
        order = create_sampler(
            self.datasets.training_task, self.train_dataset, self.settings.rows_a_step(count()), self.args.seed
        )
        self.order = StepBatches(order, self.args.gradient_accumulation_steps, rank(), count())
        return DataLoader(
            self.train_dataset,
            batch_sampler=self.order,
            collate_fn=with_empty_batches(self.data_collator, self.train_dataset),
            pin_memory=self.args.dataloader_pin_memory,
        )

    def _run_epoch(self, *, epoch: int, **options: Any) -> None:
        # only some of Accelerate's wrappers pass the epoch on, and that of a resumed epoch does not
        self.order.set_epoch(epoch)
        super()._run_epoch(epoch=epoch, **options)

    def compute_loss_context_manager(self) -> contextlib.ExitStack:
        """Autocast for training only."""
        stack: contextlib.ExitStack = super().compute_loss_context_manager()
        if self.bf16 and self.model.training:
            stack.enter_context(torch.autocast(self.args.device.type, dtype=torch.bfloat16))
        return stack

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        """Of texts in several windows, over the texts' logits; of an empty batch zero, with a gradient of zero."""
        empty = inputs.pop(EMPTY, None) is not None
        of_texts = merging(model, inputs, self.datasets.training_task.aggregation, self.args.train_batch_size)
        loss = super().compute_loss(of_texts, inputs, *args, **options)
        return loss * 0.0 if empty else loss

    def training_step(self, model: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Raises TrainingDiverged."""
        if self.settings.torch_compile:
            self.compiled = model = compile_steps(model) if self.compiled is None else self.compiled
        loss: Tensor = super().training_step(model, *args, **kwargs)
        diverged = not bool(torch.isfinite(loss))
        if largest(diverged) if self.is_in_train else diverged:
            raise raised_by_all(
                TrainingDiverged(
                    f"training: the loss is {loss.item()} at step {self.state.global_step + 1};"
                    " lower training.learning_rate or lengthen training.warmup_ratio"
                )
            )
        return loss

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: torch.device) -> Tensor | None:
        """The labels of a step, in all processes."""
        if any("labels" not in batch for batch in batch_samples):  # they are of parts that count for themselves
            return None
        task = self.datasets.training_task
        labels = sum(task.label_count(batch["labels"]) for batch in batch_samples if EMPTY not in batch)
        found: Tensor = self.accelerator.gather(torch.tensor(labels, device=device)).sum()
        return found

    def _prepare_for_training(self, *args: Any, **options: Any) -> Any:
        if self.settings.fsdp and count() > 1:
            self.sharded = ShardedModel(self.model, self.args.device)
        self.is_distributed_loading_by_transformers = bool(self.sharded)  # the model needs no wrapper then
        prepared = super()._prepare_for_training(*args, **options)
        self.is_distributed_loading_by_transformers = False  # transformers would not let such a model be resumed
        return prepared

    @contextlib.contextmanager
    def _whole_model(self) -> Iterator[None]:
        parts = self.model
        self.model = self.sharded.gather() if self.sharded else parts
        try:
            yield
        finally:
            self.model = parts

    def _finalize_training(self, *args: Any, **options: Any) -> Any:
        """From here on the model is whole, in each process."""
        if self.sharded:
            self.model = self.model_wrapped = self.callback_handler.model = self.sharded.gather()
            self.sharded = None
        return super()._finalize_training(*args, **options)

    @contextlib.contextmanager
    def _whole_optimizer(self) -> Iterator[WholeOptimizer | None]:
        parts = self.optimizer
        whole = WholeOptimizer(self.sharded.model, parts) if self.sharded else None
        self.optimizer = whole or parts
        try:
            yield whole
        finally:
            self.optimizer = parts

    def save_model(self, *args: Any, **options: Any) -> None:
        with self._whole_model():
            super().save_model(*args, **options)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Raises StateNotWritten."""
        try:
            super()._save_checkpoint(*args, **kwargs)
        except RuntimeError as error:
            if not any(each in str(error) for each in _NOT_WRITTEN):
                raise
            raise StateNotWritten(
                f"{self.args.output_dir}: the state of the training cannot be written; make room there, or allow larger"
                " files, and repeat the command to go on"
            ) from error

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        with self._whole_optimizer() as whole:
            if whole:
                whole.gather()
            super()._save_optimizer_and_scheduler(output_dir)
        if self.ema and self.args.should_save:
            self.ema.save(Path(output_dir))

    def _save_rng_state(self, output_dir: str) -> None:
        """All processes', before the state is told to be complete."""
        super()._save_rng_state(output_dir)
        wait()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with self._whole_optimizer():
            super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint:
            self.load_beside(Path(checkpoint))

    def load_beside(self, state: Path) -> None:
        """What this class saves beside Trainer's own."""
        if self.ema:
            self.ema.load(state, self.args.device)

    def note(self) -> str:
        """What is worth telling before the first step."""
        return ""

    def to_record(self) -> dict[str, Any]:
        """What the run's record says of this kind of training."""
        return {}

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in self.validate().items()}
        self.log(dict(metrics))  # log() writes into what it is given
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def validate(self) -> dict[str, float]:
        """Random states stay as they were."""
        with preserve_randomness(), self._whole_model():
            self.model.eval()
            return broadcast(validate(self.model, self.datasets, self.args.eval_batch_size))

    def _loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        total = self.total_loss(outputs["logits"].float(), labels)
        count = self.datasets.training_task.label_count(labels) if num_items_in_batch is None else num_items_in_batch
        return total / count

    def total_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum over all labels of a batch."""
        return self.datasets.training_task.total_loss(logits, labels, training=self.model.training)


@contextlib.contextmanager
def preserve_randomness() -> Iterator[None]:
    """Restores Python's, numpy's and torch's states."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
