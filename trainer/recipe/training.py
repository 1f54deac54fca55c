"""The recipe's section ``training``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from trainer.recipe.own_names import OwnName
from trainer.recipe.schedules import LrScheduler, LrSchedulerOptions, check_schedule, resolve_schedule
from trainer.recipe.section import Metric, Name, Section

EPOCHS, WARMUP = 3, 0.06
"""What is meant where the recipe is silent."""
WITHOUT_WEIGHTS = ("logging_steps", "save_steps", "save_total_limit", "report_to", "fsdp")
"""What no weight depends on: a resumed or repeated run may have others."""
_NOT_SHARDED = ("ema_decay", "weight_averaging_epochs", "gradual_unfreezing", "torch_compile")
BITS = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
ADAM = {"adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8}

Tracker = Literal["tensorboard", "mlflow", "wandb", "trackio"]


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021), under peft's names; merged into the weights when the run is saved."""

    r: int = Field(default=8, ge=1, le=1024, description="rank")
    lora_alpha: int = Field(default=16, ge=1, description="the update is scaled by lora_alpha / r")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="before the adapter")
    use_dora: bool = Field(
        default=False,
        description="DoRA (Liu et al. 2024): learns lengths of weights beside directions; slower",
    )
    target_modules: tuple[Name, ...] | None = Field(
        default=None, description="names of the layers that get one; null: every linear layer of the backbone"
    )
    load_in_4bit: bool = Field(
        default=False,
        description="QLoRA (Dettmers et al. 2023): the backbone's linear layers have 4 bits a weight while adapters"
        " learn, by bitsandbytes; the run has what these stand for in fp32",
    )
    bnb_4bit_quant_type: Literal["nf4", "fp4"] | None = Field(
        default=None, description="of load_in_4bit: for normally distributed weights, or floats; null: nf4"
    )
    bnb_4bit_use_double_quant: bool | None = Field(
        default=None, description="of load_in_4bit: the scales of the weights have 8 bits; null: true"
    )

    @model_validator(mode="after")
    def _check_bits(self) -> Lora:
        idle = [f"training.lora.{name}" for name in BITS if getattr(self, name) is not None]
        if idle and not self.load_in_4bit:
            raise ValueError(
                f"{', '.join(idle)}: without training.lora.load_in_4bit: true it does nothing; leave it out"
            )
        return self

    def resolve(self) -> Lora:
        """With every default that depends on other keys."""
        silent = {name: value for name, value in BITS.items() if getattr(self, name) is None}
        return self.model_copy(update=silent) if self.load_in_4bit else self


class Training(Section):
    """The optimiser's settings, under the names of transformers' TrainingArguments."""

    learning_rate: float = Field(default=2.0e-4, gt=0, le=10, description="peak learning rate of the backbone")
    head_learning_rate: float | None = Field(
        default=None, gt=0, le=10, description="of the classifier; null: 25 × learning_rate, under sgd the same"
    )
    num_train_epochs: int | None = Field(
        default=None, ge=1, le=1000, description="passes over the training rows; null: 3, or what max_steps takes"
    )
    max_steps: int | None = Field(
        default=None, ge=1, le=10**9, description="optimiser steps, in place of num_train_epochs; the rows begin anew"
    )
    per_device_train_batch_size: int = Field(default=32, ge=1, le=4096, description="texts per training step")
    per_device_eval_batch_size: int = Field(default=64, ge=1, le=4096, description="texts per evaluation step")
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024, description="batches per optimiser step")
    gradient_checkpointing: bool = Field(default=False, description="recompute activations: less memory, slower")
    lr_scheduler_type: LrScheduler = Field(
        default="linear", description="after the warmup; reduce_lr_on_plateau follows metric_for_best_model"
    )
    lr_scheduler_kwargs: LrSchedulerOptions | None = Field(default=None, description="what the schedule takes")
    warmup_ratio: float | None = Field(
        default=None, ge=0, lt=1, description="fraction of the steps that warm up; null: 0.06, reduce_lr_on_plateau: 0"
    )
    optim: Literal["adamw", "adafactor", "sgd"] = Field(
        default="adamw", description="optimiser; adafactor keeps a row and a column of each matrix in place of it"
    )
    adam_beta1: float | None = Field(default=None, ge=0, lt=1, description="of adamw; null: 0.9")
    adam_beta2: float | None = Field(default=None, ge=0, lt=1, description="of adamw; null: 0.999")
    adam_epsilon: float | None = Field(default=None, gt=0, le=1, description="of adamw; null: 1e-8")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(default=0.01, ge=0, le=1, description="not for biases and layer norms")
    label_smoothing_factor: float | None = Field(
        default=None, ge=0, lt=1, description="under cross-entropy; null: 0.05 for text-classification, else 0"
    )
    max_grad_norm: float = Field(default=1.0, gt=0, le=1e6, description="gradients are clipped to this norm")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the head's first weights, dropout and batch order")
    bf16: bool | None = Field(
        default=None,
        description="bfloat16 autocast; null: where timed steps before the training find it faster, and as exact",
    )
    layerwise_lr_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="each layer learns at so much of the next one's rate; the last at learning_rate",
    )
    gradual_unfreezing: int | None = Field(
        default=None,
        ge=1,
        description="the first epoch trains the head alone, each other one so many layers more, last first (ULMFiT)",
    )
    probe_examples_per_label: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="training rows a label to whose vectors the classifier is fitted first (LP-FT): fewer steps needed",
    )
    fsdp: bool = Field(
        default=False,
        description="FSDP2: several processes divide weights, gradients and the optimiser's moments among them",
    )
    torch_compile: bool = Field(
        default=False,
        description="compile the training steps: a minute or more at first, faster then; weights differ by rounding",
    )
    trainable: Literal["all", "classifier", "last_layers", "lora"] = Field(
        default="all", description="classifier: not the backbone; last_layers: only its last ones; lora: adapters"
    )
    freeze_embeddings: bool = Field(default=False, description="do not train the word vectors")
    last_layers: int | None = Field(default=None, ge=1, description="how many, under trainable: last_layers")
    lora: Lora | None = Field(default=None, description="of trainable: lora")
    eval_strategy: Literal["epoch", "steps"] = Field(default="epoch", description="when to validate and save the state")
    eval_steps: int | None = Field(default=None, ge=1, description="optimiser steps between two evaluations")
    logging_steps: int | None = Field(
        default=None, ge=1, description="optimiser steps between two points of the loss; null: ten points an epoch"
    )
    report_to: tuple[Tracker, ...] = Field(
        default=(), description="experiment trackers that get recipe, curves, metrics, figures and the bundle's digest"
    )
    save_steps: int | None = Field(
        default=None,
        ge=1,
        description="optimiser steps between two saved states, to resume from, beside those that evaluations save",
    )
    save_total_limit: int = Field(
        default=2, ge=1, le=1000, description="states kept while training runs, the best and the last among them"
    )
    metric_for_best_model: Metric | OwnName | None = Field(
        default=None, description="on validation; null: the task's first in the table of tasks"
    )
    load_best_model_at_end: bool = Field(default=True, description="keep the best checkpoint; false: the last one")
    early_stopping_patience: int | None = Field(
        default=None, ge=1, description="evaluations without a better metric before training stops"
    )
    weight_averaging_epochs: int | None = Field(
        default=None,
        ge=2,
        description="also try the mean of the weights at the ends of so many last epochs; kept if validation is no"
        " worse, or under load_best_model_at_end: false in any case",
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="also try the exponential moving average of the weights, such as 0.999; kept if validation is no"
        " worse, or under load_best_model_at_end: false in any case",
    )
    weight_soup_runs: int | None = Field(
        default=None,
        ge=2,
        le=32,
        description="train so many times, from seed on, and average the weights (a model soup); kept if its validation"
        " loss is no higher than theirs on average, or under load_best_model_at_end: false in any case",
    )
    weight_interpolation: bool = Field(
        default=False,
        description="also try backbone weights between the base model's and the fine-tuned ones (WiSE-FT): of those"
        " within a standard error of the best validation metric, the ones with the lowest loss",
    )

    @model_validator(mode="after")
    def _check_consistency(self) -> Training:
        if (self.eval_strategy == "steps") != (self.eval_steps is not None):
            raise ValueError("training.eval_steps: goes with training.eval_strategy: steps, and only with it")
        if self.max_steps and self.num_train_epochs:
            raise ValueError("training.max_steps: stands in place of training.num_train_epochs; leave one out")
        if self.warmup_ratio and self.lr_scheduler_type == "reduce_lr_on_plateau":
            raise ValueError(
                "training.warmup_ratio: lr_scheduler_type: reduce_lr_on_plateau has no warmup; leave it out"
            )
        check_schedule(self.lr_scheduler_type, self.lr_scheduler_kwargs, self.learning_rate)
        if (self.trainable == "last_layers") != (self.last_layers is not None):
            raise ValueError("training.last_layers: goes with training.trainable: last_layers, and only with it")
        if self.early_stopping_patience and not self.load_best_model_at_end:
            raise ValueError("training.early_stopping_patience: goes with training.load_best_model_at_end: true")
        averaged = self.weight_averaging_epochs or 0
        if averaged and self.early_stopping_patience:
            raise ValueError("training.weight_averaging_epochs: needs every epoch; leave early_stopping_patience out")
        if averaged and self.max_steps:
            raise ValueError("training.weight_averaging_epochs: needs whole epochs; leave training.max_steps out")
        if averaged > (epochs := self.num_train_epochs or EPOCHS):
            raise ValueError(
                f"training.weight_averaging_epochs: {averaged} of {epochs} epochs cannot be averaged;"
                " give at most training.num_train_epochs"
            )
        if self.ema_decay and averaged:
            raise ValueError("training.ema_decay: averages too; leave training.weight_averaging_epochs out")
        if clash := self.fsdp and next((name for name in _NOT_SHARDED if getattr(self, name)), None):
            raise ValueError(f"training.fsdp: goes with whole weights under training.{clash}; leave one of them out")
        if self.fsdp and self.optim == "adafactor":
            raise ValueError("training.fsdp: divides the moments of adamw and sgd; give training.optim: adamw")
        if self.fsdp and self.in_4bit:
            raise ValueError("training.fsdp: divides no weights of 4 bits; leave it or training.lora.load_in_4bit out")
        if self.gradual_unfreezing and epochs == 1 and not self.max_steps:
            raise ValueError(
                "training.gradual_unfreezing: one epoch would train the head alone; give more epochs, or"
                " training.trainable: classifier"
            )
        if self.layerwise_lr_decay and self.last_layers == 1:
            raise ValueError("training.layerwise_lr_decay: a single layer learns under training.last_layers: 1")
        if self.weight_interpolation and not self.load_best_model_at_end:
            raise ValueError("training.weight_interpolation: goes with training.load_best_model_at_end: true")
        if self.weight_interpolation and self.trainable == "classifier":
            raise ValueError("training.weight_interpolation: the backbone does not learn under trainable: classifier")
        return self

    @property
    def in_4bit(self) -> bool:
        """Whether frozen weights have 4 bits."""
        return bool(self.lora and self.lora.load_in_4bit)

    def rows_a_step(self, processes: int) -> int:
        """The total train batch size, as transformers calls it."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps * processes

    def resolve(self) -> Training:
        """With every default that depends on other keys."""
        plateau = self.lr_scheduler_type == "reduce_lr_on_plateau"
        defaults: dict[str, Any] = {
            "head_learning_rate": self.learning_rate * (1.0 if self.optim == "sgd" else 25.0),
            "num_train_epochs": None if self.max_steps else EPOCHS,
            "warmup_ratio": 0.0 if plateau else WARMUP,
            **(ADAM if self.optim == "adamw" else {}),
        }
        silent = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        schedule = resolve_schedule(self.lr_scheduler_type, self.lr_scheduler_kwargs)
        lora = self.lora and self.lora.resolve()
        return self.model_copy(update={**silent, "lr_scheduler_kwargs": schedule, "lora": lora})
