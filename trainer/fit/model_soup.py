"""A model soup: the mean of the weights of trainings that differ in their seed.

It often beats each of them at the cost of one (Wortsman et al. 2022, "Model soups", the uniform soup). Finished
trainings are files, so that a resumed run averages the same numbers.
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
from trainer.run.processes import from_first, is_first, wait
from trainer.run.run import write_atomically

Record = dict[str, Any]

Train = Callable[[int, Path], tuple[TaskTrainer, Record]]
"""From a seed and a state folder to a trainer with the final weights, and a part of the run's record."""


class ModelSoup:
    def __init__(self, folder: Path, seeds: range) -> None:
        self._folder = folder
        self.seeds = seeds

    def train_members(self, train: Train) -> None:
        """Run the trainings that are not finished."""
        missing = from_first(lambda: [seed for seed in self.seeds if not self._record_path(seed).exists()])
        for seed in self.seeds:
            state = self._folder / f"seed-{seed}"
            if seed in missing:
                self._add(seed, *train(seed, state))
            if is_first():
                shutil.rmtree(state, ignore_errors=True)
        wait()

    def apply(self, trainer: TaskTrainer) -> Record:
        """Give the model the mean, or the best member's weights; returns the run's record.

        The mean is dropped where its validation loss is above the members' average, as no valley of the loss holds
        them all then. It always stays where the recipe keeps the last weights.
        """
        members = {seed: json.loads(self._record_path(seed).read_text(encoding="utf-8")) for seed in self.seeds}
        losses = {seed: float(members[seed]["validation"]["loss"]) for seed in self.seeds}
        best = min(self.seeds, key=losses.__getitem__)
        trainer.model.load_state_dict(mean_of([load_file(self._weights_path(seed)) for seed in self.seeds]))
        metrics = trainer.validate()
        kept = not trainer.args.load_best_model_at_end or metrics["loss"] <= fmean(losses.values())
        if not kept:
            trainer.model.load_state_dict(load_file(self._weights_path(best)))
        seeds = {str(seed): member["validation"] for seed, member in members.items()}
        soup = {"kept": kept, "validation": metrics, "seeds": seeds, "best_seed": best}
        return {**members[best]["record"], "soup": soup} | ({"best_step": None} if kept else {})

    def _add(self, seed: int, trainer: TaskTrainer, record: Record) -> None:
        validation = trainer.validate()
        if not is_first():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.detach().clone().contiguous() for name, weight in trainer.model.state_dict().items()}
        save_file(weights, self._weights_path(seed))
        # written last: where it is, the training is complete
        write_atomically(self._record_path(seed), json.dumps({"record": record, "validation": validation}))

    def _weights_path(self, seed: int) -> Path:
        return self._folder / f"seed-{seed}.safetensors"

    def _record_path(self, seed: int) -> Path:
        return self._folder / f"seed-{seed}.json"
