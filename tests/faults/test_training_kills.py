"""A training that is killed at any moment goes on when it is run again, to the weights of one that was not."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.faults.results import LONG, record, times
from tests.faults.training_process import FINISHED, Faults, TrainingProcess, require_same

RECIPES: dict[str, dict[str, Any]] = {
    "epochs": {"num_train_epochs": 3, "weight_averaging_epochs": 2},
    "soup": {"num_train_epochs": 2, "weight_soup_runs": 2},
    "adapters": {"num_train_epochs": 2, "trainable": "lora"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RECIPES) if LONG else list(RECIPES)[:1])
def test_killed(name: str, tiny_backbone: Path, tmp_path: Path) -> None:
    """Half of the kills at a random moment, half before a random file event; each kind of training in the long form."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone, training=RECIPES[name])
    whole = TrainingProcess(recipe, tmp_path / "whole")
    assert whole.code == FINISHED, whole.words
    kills = Kills(recipe, int(whole.words))
    while kills.count < times(3, 50):
        output = tmp_path / f"after-{kills.count}"
        shutil.rmtree(output, ignore_errors=True)
        while kills.kill(output):
            pass
        require_same(tmp_path / "whole", output)
    record("training killed by SIGKILL, then run again", kills.count, "kills", seen="weights equal to the bit")


class Kills:
    """``events`` are the file events of a whole training."""

    def __init__(self, recipe: Path, events: int) -> None:
        self.recipe, self.events = recipe, events
        self.count, self.seconds = 0, 10.0
        self.rng = random.Random(0)

    def kill(self, output: Path) -> bool:
        """Start or resume a training; False where it ended before its kill."""
        by_event, began = self.rng.random() < 0.5, time.monotonic()
        event = self.rng.randint(1, self.events) if by_event else 0
        training = TrainingProcess(self.recipe, output, Faults(event=event))
        if not by_event:
            training.kill_after(self.rng.uniform(0.1, self.seconds))
        code = training.code
        assert code in (FINISHED, -signal.SIGKILL), training.words
        if code == FINISHED:
            self.seconds = min(self.seconds, time.monotonic() - began)
        self.count += code != FINISHED
        return code != FINISHED
