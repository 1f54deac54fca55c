"""Timed steps of the run's own model on its own batches, before the training.

The model is thrown away afterwards and the random states stay as they were, so that a trial changes no weight. Its
learning rate is 0: every candidate starts from the same weights, and their losses can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from trainer.fit.trainer import TaskTrainer, TrainingDiverged
from trainer.run.environment import torch_threads

SEED = 0


@dataclass(frozen=True)
class Candidate:
    """A way to compute."""

    bf16: bool
    threads: int

    def __str__(self) -> str:
        return f"{'bf16' if self.bf16 else 'fp32'} with {self.threads} thread{'s' * (self.threads > 1)}"


@dataclass
class Timing:
    """``passes`` are seconds of forward and backward by the batch's length, ``update`` those of the optimiser.

    ``problem``: why the candidate cannot be chosen, if so.
    """

    candidate: Candidate
    passes: dict[int, float] = field(default_factory=dict)
    update: float = float("inf")
    losses: list[float] = field(default_factory=list)
    problem: str | None = None


Batches = dict[int, dict[str, Any]]
"""Collated, by their length in tokens."""


class Trial:
    """``parts`` of some ``batches`` have this ``share`` of the rows; without them, a part is the whole."""

    def __init__(
        self, trainer: TaskTrainer, batches: Batches, parts: Batches | None = None, share: float = 1.0
    ) -> None:
        self.trainer = trainer
        self.batches = batches
        self.parts, self.share = (parts, share) if parts else (batches, 1.0)
        self.spent = 0.0
        self.optimizer = trainer.create_optimizer()
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.weights = [weight for weight in trainer.model.parameters() if weight.requires_grad]

    def run(self, timing: Timing, lengths: Sequence[int], part: bool = False) -> float:
        """A step on each batch, or on a part of it; keeps the fastest times of a batch, returns the seconds spent."""
        start = time.perf_counter()
        with torch_threads(timing.candidate.threads):
            try:
                for length in lengths:
                    self._step(timing, length, part)
            except TrainingDiverged:
                timing.problem = "the loss is no finite number"
            except RuntimeError as error:  # not on this device, or too little memory: another candidate may do
                timing.problem = str(error).splitlines()[0]
        seconds = time.perf_counter() - start
        self.spent += seconds
        return seconds

    def _step(self, timing: Timing, length: int, part: bool) -> None:
        batch, share = (self.parts[length], self.share) if part else (self.batches[length], 1.0)
        self.trainer.bf16 = timing.candidate.bf16
        torch.manual_seed(SEED)
        begin = self._now()
        loss = self.trainer.training_step(self.trainer.model, dict(batch))
        middle = self._now()
        nn.utils.clip_grad_norm_(self.weights, self.trainer.args.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        timing.update = min(timing.update, self._now() - middle)
        timing.passes[length] = min(timing.passes.get(length, float("inf")), (middle - begin) / share)
        timing.losses.append(float(loss))

    def _now(self) -> float:
        if self.trainer.args.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
