"""The mean of the weights of several trainings, alike but for their seed, which often answers better than any of them.

From the same first weights, other orders of the rows lead to other places of one wide valley of the loss; their mean
lies nearer to its middle, and costs no more to run than one of them (Wortsman et al. 2022, "Model soups: averaging
weights of multiple fine-tuned models improves accuracy without increasing inference time"; all of them with equal
weight is that paper's uniform soup). Finished trainings are files beside the states that an interrupted run resumes
from, so that a resumed run mixes the same numbers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from safetensors.torch import load_file, save_file

from trainer.fit.trainer import TaskTrainer
from trainer.fit.weight_averaging import mean_of
from trainer.run.run import write_atomically

Facts = dict[str, Any]

Train = Callable[[int, Path], tuple[TaskTrainer, Facts]]
"""Trains with a seed, its states in a folder; gives a trainer whose model has the weights that the training ended with,
adapters merged, and what the record says of it."""


class ModelSoup:
    """The trainings that are mixed, in a folder, each by its seed."""

    def __init__(self, folder: Path, seeds: range) -> None:
        self._folder = folder
        self.seeds = seeds

    def train_members(self, train: Train) -> None:
        """Have every training done that was not finished before."""
        for seed in self.seeds:
            states = self._folder / f"seed-{seed}"
            if not self._facts(seed).exists():
                self._add(seed, *train(seed, states))
            shutil.rmtree(states, ignore_errors=True)

    def apply(self, trainer: TaskTrainer) -> Facts:
        """Give the trainer's model the mean, unless it loses to them; returns what the record says.

        It loses where its validation loss is above the mean of theirs: then no valley holds them all. The best of
        several is no judge, being the best by luck too; nor are a few hundred right or wrong answers. Where the recipe
        lets validation choose nothing, the mean is taken in any case.
        """
        members = {seed: json.loads(self._facts(seed).read_text(encoding="utf-8")) for seed in self.seeds}
        losses = {seed: float(members[seed]["validation"]["loss"]) for seed in self.seeds}
        best = min(self.seeds, key=losses.__getitem__)
        trainer.model.load_state_dict(mean_of([load_file(self._weights(seed)) for seed in self.seeds]))
        found = trainer.validated()
        kept = not trainer.args.load_best_model_at_end or found["loss"] <= fmean(losses.values())
        if not kept:
            trainer.model.load_state_dict(load_file(self._weights(best)))
        told = {str(seed): member["validation"] for seed, member in members.items()}
        soup = {"kept": kept, "validation": found, "seeds": told, "best_seed": best}
        return {**members[best]["facts"], "soup": soup} | ({"best_step": None} if kept else {})

    def _add(self, seed: int, trainer: TaskTrainer, facts: Facts) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.detach().clone().contiguous() for name, weight in trainer.model.state_dict().items()}
        save_file(weights, self._weights(seed))
        write_atomically(self._facts(seed), json.dumps({"facts": facts, "validation": trainer.validated()}))

    def _weights(self, seed: int) -> Path:
        return self._folder / f"seed-{seed}.safetensors"

    def _facts(self, seed: int) -> Path:
        """Written last: where it is, the training is whole."""
        return self._folder / f"seed-{seed}.json"
