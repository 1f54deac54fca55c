"""Training by DP-SGD: each row's gradient is clipped, and their sum gets noise, before the optimiser sees it.

Whatever the optimiser, the schedule or an average of weights makes of it depends on no row any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainingArguments

from serving.errors import InputError
from trainer.fit.batches import Examples, collator
from trainer.fit.privacy.accounting import Ledger, plan_mechanism
from trainer.fit.privacy.row_gradients import choose_gradients
from trainer.fit.privacy.rows import RowExamples, collate_rows, private_loader, row_losses, take_sizes
from trainer.fit.trainer import TaskTrainer, TrainingDiverged, preserve_randomness
from trainer.fit.validation import Datasets
from trainer.model.heads import Model

MOST_FLOATS = 2**29
"""Of all gradients at once: 2 GiB."""
TRIED = 3
"""Validation rows on which gradients are compared."""


class Noise(DPOptimizer):  # type: ignore[misc]
    """Opacus' clipping and sums; the noise comes from the operating system's randomness.

    A seed of torch's generator has 32 bits that act on a CPU, few enough to try them all. numpy's has 128.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, ledger: Ledger, random: np.random.Generator) -> None:
        mechanism = ledger.mechanism
        super().__init__(
            optimizer,
            noise_multiplier=mechanism.noise_multiplier,
            max_grad_norm=mechanism.max_grad_norm,
            expected_batch_size=None,
            loss_reduction="sum",
        )
        self._rows_a_step = mechanism.rows_a_step
        self._random = random

    @property
    def params(self) -> list[nn.Parameter]:
        return [weight for group in self.param_groups for weight in group["params"] if weight.requires_grad]

    def begin(self) -> None:
        for weight in self.params:
            weight.summed_grad = None  # type: ignore[attr-defined]
            weight.grad_sample = weight.new_zeros((0, *weight.shape))  # type: ignore[attr-defined]

    def add_noise(self) -> None:
        """The sum is divided by the rows that a step has on average: how many it has would tell of a row."""
        deviation = self.noise_multiplier * self.max_grad_norm
        for weight in self.params:
            noise = torch.from_numpy(self._random.standard_normal(weight.shape, dtype=np.float32))
            total = weight.summed_grad + deviation * noise.to(weight)  # type: ignore[attr-defined]
            weight.grad = total / self._rows_a_step
            weight.grad_sample = weight.summed_grad = None  # type: ignore[attr-defined]


class PrivateTrainer(TaskTrainer):
    """Its batches, losses and gradients are those of rows."""

    def __init__(
        self, model: Model, args: TrainingArguments, datasets: Datasets, callbacks: list[TrainerCallback]
    ) -> None:
        _require_one_process(args)
        recipe = datasets.training_task.recipe
        assert recipe.privacy is not None
        assert isinstance(datasets.train, Examples)
        self.rows = RowExamples(datasets.train)
        self.ledger = Ledger(plan_mechanism(recipe.privacy, recipe.training, len(self.rows)))
        self.random = np.random.default_rng()
        super().__init__(model, args, datasets, callbacks)
        trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        self.rows_at_once = max(1, min(args.per_device_train_batch_size, MOST_FLOATS // max(trained, 1)))
        with preserve_randomness():
            self.gradients = choose_gradients(model, self.row_losses, *self._tried_rows(), self.rows_at_once)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(model)
        self.noise = Noise(optimizer, self.ledger, self.random)
        return optimizer

    def get_train_dataloader(self) -> DataLoader[Any]:
        collate = collator(self.datasets.tokenizer, self.datasets.training_task)
        loader = private_loader(self.rows, self.ledger.mechanism, self.random, collate, self.rows_at_once)
        self.order: Any = loader.batch_sampler
        return loader

    def training_step(self, model: nn.Module, inputs: Any, *_: Any, **__: Any) -> Tensor:
        """Leave the noisy gradient, and return the mean of the rows' losses; raises TrainingDiverged.

        ``inputs`` are the parts of a batch, or a batch of one example a row.
        """
        model.train()
        self.noise.begin()
        losses = [self._add_part(part) for part in ([inputs] if isinstance(inputs, Mapping) else inputs)]
        if not losses:  # no row was drawn
            self.noise.clip_and_accumulate()
        self.noise.add_noise()
        self.ledger.count_step()
        return torch.cat(losses).mean() if losses else torch.zeros((), device=self.args.device)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """A loss is divided by nothing but its row's labels."""
        return None

    def row_losses(self, logits: Tensor, labels: Tensor, sizes: Sequence[int]) -> Tensor:
        return row_losses(self.datasets.training_task, logits, labels, sizes, training=self.model.training)

    def _add_part(self, part: Mapping[str, Tensor]) -> Tensor:
        batch = dict(self._prepare_inputs(dict(part)))
        losses = self.gradients(batch, take_sizes(batch))
        if not torch.isfinite(losses).all():
            raise TrainingDiverged(
                f"training: a loss is no finite number at step {self.state.global_step + 1};"
                " lower training.learning_rate"
            )
        self.noise.clip_and_accumulate()
        return losses

    def _tried_rows(self) -> tuple[dict[str, Tensor], list[int]]:
        """Of validation: training rows are read by steps alone."""
        assert isinstance(self.datasets.validation, Examples)
        rows = RowExamples(self.datasets.validation)
        collate = collator(self.datasets.tokenizer, self.datasets.training_task)
        batch = collate_rows([rows[at % len(rows)] for at in range(TRIED)], collate)
        batch = dict(self._prepare_inputs(batch))
        return batch, take_sizes(batch)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        self.ledger.save(Path(output_dir))

    def load_beside(self, state: Path) -> None:
        super().load_beside(state)
        self.ledger.load(state)

    def note(self) -> str:
        mechanism = self.ledger.mechanism
        return (
            f"private: noise multiplier {mechanism.noise_multiplier:.3g}, on average {mechanism.rows_a_step:.0f} of"
            f" {mechanism.rows:,} rows in each of {mechanism.steps:,} steps, δ = {mechanism.delta:.2g}; gradients of"
            f" rows by {self.gradients.name}"
        )

    def to_record(self) -> dict[str, Any]:
        return {"privacy": {**self.ledger.to_record(), "gradients": self.gradients.name}}


def _require_one_process(args: TrainingArguments) -> None:
    if args.world_size > 1:
        raise InputError(
            "privacy: trains in one process, as noise and clipping are of all rows of a step; leave torchrun out, or"
            " privacy.target_epsilon",
            field="privacy",
        )
