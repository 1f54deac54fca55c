"""A training that is killed at any moment goes on when it is run again, to the weights of one that was not.

``TUNESHIP_TEST_LONG=1`` kills more kinds of trainings, each 50 times.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.faults import training_process as process
from tests.faults.results import record
from tests.trainer.conftest import weights
from trainer.run.lock import require_locked
from trainer.run.run import Run

LONG = bool(os.environ.get("TUNESHIP_TEST_LONG"))
KILLS = 50 if LONG else 3
RECIPES: dict[str, dict[str, Any]] = {
    "epochs": {"num_train_epochs": 3, "weight_averaging_epochs": 2},
    "soup": {"num_train_epochs": 2, "weight_soup_runs": 2},
    "adapters": {"num_train_epochs": 2, "trainable": "lora"},
}
SAME = ("metrics", "settings", "history", "best_step", "averaged")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RECIPES) if LONG else list(RECIPES)[:1])
def test_killed(name: str, tiny_backbone: Path, tmp_path: Path) -> None:
    """Half of the kills at a random moment, half before a random file event."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone, training=RECIPES[name])
    assert _end(process.start(recipe, tmp_path / "whole")) == process.FINISHED
    kills = Kills(recipe, int(process.said(tmp_path / "whole")))
    while kills.count < KILLS:
        output = tmp_path / f"after-{kills.count}"
        shutil.rmtree(output, ignore_errors=True)
        while kills.kill(output):
            pass
        _assert_same(tmp_path / "whole", output)
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
        child = process.start(self.recipe, output, process.Faults(event=event))
        if not by_event:
            child.join(self.rng.uniform(0.1, self.seconds))
            child.kill()
        code = _end(child)
        assert code in (process.FINISHED, -signal.SIGKILL), process.said(output)
        self.count += code != process.FINISHED
        if code == process.FINISHED:
            self.seconds = min(self.seconds, time.monotonic() - began)
        return code != process.FINISHED


def _end(child: BaseProcess) -> int | None:
    child.join(120)
    return child.exitcode


def _assert_same(whole: Path, resumed: Path) -> None:
    first, second = Run.open(whole), Run.open(resumed)
    assert weights(first) == weights(second)
    assert first.evaluation.read_bytes() == second.evaluation.read_bytes()
    records = first.read_record(), second.read_record()
    assert all(records[0][key] == records[1][key] for key in SAME)
    names = [sorted(path.relative_to(run.root).as_posix() for path in run.root.rglob("*")) for run in (first, second)]
    assert names[0] == names[1]
    require_locked(second)
