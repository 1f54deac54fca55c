"""transformers' Trainer, corrected where it is wrong.

Its length-grouped sampler draws from the global random state, so that a resumed run differs after the first
epoch; evaluating draws from it too, so that evaluating more often changes the weights. Here the batch order
belongs to seed and epoch, and evaluation leaves every random state as it found it. Loss under gradient
accumulation is the mean over all texts of a step, and validation metrics are streamed, in fp32.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from serving.errors import InputError
from trainer.batches import EncodedTexts, Feature, LengthBucketSampler, LongestFirst
from trainer.evaluate import headline
from trainer.model import head_of
from trainer.recipe import Training

LOGS_AN_EPOCH = 10
_SCHEDULERS = {"constant": "constant_with_warmup"}
_OPTIMISERS = {"adamw": "adamw_torch_fused"}  # fused: a whole step of MiniLM is a third faster on two cores


def arguments(settings: Training, state: Path, steps_an_epoch: int) -> TrainingArguments:
    """The recipe's settings as transformers' own; ``state`` holds what an interrupted run resumes from."""
    schedule, optimiser = settings.lr_scheduler_type, settings.optim
    return TrainingArguments(
        output_dir=str(state.absolute()),
        learning_rate=settings.learning_rate,
        num_train_epochs=settings.num_train_epochs,
        per_device_train_batch_size=settings.per_device_train_batch_size,
        per_device_eval_batch_size=settings.per_device_eval_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        activation_checkpointing=settings.gradient_checkpointing,
        lr_scheduler_type=_SCHEDULERS.get(schedule, schedule),
        warmup_steps=settings.warmup_ratio,
        optim=_OPTIMISERS.get(optimiser, optimiser),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        eval_strategy=settings.eval_strategy,
        save_strategy=settings.eval_strategy,
        eval_steps=settings.eval_steps,
        save_steps=settings.eval_steps or 500,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=settings.metric_for_best_model,
        greater_is_better=True,
        restore_callback_states_from_checkpoint=True,
        logging_strategy="steps",
        logging_steps=max(1, steps_an_epoch // LOGS_AN_EPOCH),
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
        label_names=["labels"],
    )


class ClassifierTrainer(Trainer):  # type: ignore[misc]
    """Trains a classifier by the recipe's settings; the module says what differs from Trainer."""

    def __init__(
        self,
        model: nn.Module,
        settings: Training,
        args: TrainingArguments,
        train: EncodedTexts,
        validation: EncodedTexts,
        collate: Callable[[list[Feature]], dict[str, Tensor]],
        callbacks: list[TrainerCallback],
    ) -> None:
        self.settings = settings
        patience = settings.early_stopping_patience
        super().__init__(
            model=model,
            args=args,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=collate,
            compute_loss_func=self._loss,
            compute_metrics=_metrics,
            preprocess_logits_for_metrics=_answers,
            callbacks=[*callbacks, *([EarlyStoppingCallback(patience)] if patience else [])],
        )
        self.model_accepts_loss_kwargs = False
        self.remove_callback(PrinterCallback)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW or SGD over four groups: backbone and head, each with and without decay."""
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        if self.settings.optim == "sgd":
            options["momentum"] = self.settings.momentum
        optimizer: torch.optim.Optimizer = kind(self._groups(self.model), **options)
        self.optimizer = optimizer
        return optimizer

    def _groups(self, model: nn.Module) -> list[dict[str, Any]]:
        head = {id(weight) for module in head_of(model) for weight in module.parameters()}
        decayed = set(self.get_decay_parameter_names(model))
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                groups.setdefault((id(weight) in head, name in decayed), []).append(weight)
        rates = {False: self.settings.learning_rate, True: self.settings.resolved().head_learning_rate}
        return [
            {"params": weights, "lr": rates[is_head], "weight_decay": self.settings.weight_decay * has_decay}
            for (is_head, has_decay), weights in groups.items()
        ]

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        batch = self.args.train_batch_size
        self.order = LengthBucketSampler(self.train_dataset.lengths(), batch, self.settings.seed)
        return self.order

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler[int]:
        return LongestFirst(eval_dataset.lengths())

    def _run_epoch(self, *, epoch: int, **facts: Any) -> None:
        # Accelerate passes the epoch on through some of its wrappers only; a resumed epoch is in another one.
        self.order.set_epoch(epoch)
        super()._run_epoch(epoch=epoch, **facts)

    def compute_loss_context_manager(self) -> contextlib.ExitStack:
        """Autocast for training only: validation is measured in fp32, as the finished checkpoint is."""
        stack: contextlib.ExitStack = super().compute_loss_context_manager()
        if self.settings.bf16 and self.model.training:
            stack.enter_context(torch.autocast(self.args.device.type, dtype=torch.bfloat16))
        return stack

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """One batch's loss; raises InputError when it is no number."""
        loss: Tensor = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise InputError(
                f"training: the loss is {loss.item()} at step {self.state.global_step + 1};"
                " lower training.learning_rate or lengthen training.warmup_ratio",
                field="training.learning_rate",
            )
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Validation metrics, with every random state put back after it."""
        with unchanged_randomness():
            metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        return metrics

    def prediction_step(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """Answers without Trainer's loss, which weighs a short last batch like a full one."""
        _, answers, labels = super().prediction_step(*args, **kwargs)
        return None, answers, labels

    def _loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        smoothing = self.settings.label_smoothing_factor if self.model.training else 0.0
        logits = outputs["logits"].float()
        total = cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


@contextlib.contextmanager
def unchanged_randomness() -> Iterator[None]:
    """Python's, numpy's and torch's random states are the same after the block as before it."""
    ours = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(ours[0])
            np.random.set_state(ours[1])


def _answers(logits: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The label and the loss of each text of a batch: all that is kept of its logits."""
    return logits.argmax(dim=-1), cross_entropy(logits.float(), labels, reduction="none")


def _metrics(prediction: Any) -> dict[str, float]:
    answers, losses = prediction.predictions
    return {**headline(prediction.label_ids, answers), "loss": float(losses.mean())}
