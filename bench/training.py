"""The time of a training on banking77, by Tuneship and by transformers' Trainer with its defaults."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figure
from deploy.measurement.process import ROOT, MeasurementError, spawned

RECIPES = ROOT / "recipes"
FAST, PLAIN = RECIPES / "banking77-fast.yaml", RECIPES / "banking77.yaml"
TARGET = 0.91
"""Of test accuracy."""

BATCH, EPOCHS, STEPS = 16, 3, 200
QUICK_STEPS = 300
LIMIT = 4 * 3600.0


@dataclass(frozen=True)
class Times:
    """Seconds since the process began; ``accuracy`` on the test rows."""

    first_step: float
    last_step: float
    steps: int
    trained: float
    ended: float
    accuracy: float

    def samples_a_second(self, batch: int) -> float:
        return batch * (self.steps - 1) / (self.last_step - self.first_step)

    def extended(self, steps: int) -> Times:
        """Had it made so many steps at its pace."""
        more = (steps - self.steps) * (self.last_step - self.first_step) / (self.steps - 1)
        ends = (self.last_step + more, steps, self.trained + more, self.ended + more)
        return Times(self.first_step, *ends, self.accuracy)


def measure_training(quick: bool, logs: Path, data: Sequence[str] = ()) -> list[Figure]:
    """``quick``: Trainer makes some hundred steps, and the time of all is reckoned; ``data`` overrides the recipes'."""
    fast = run_training("tuneship", FAST, logs, *data)
    same = ["training.num_train_epochs=null", f"training.per_device_train_batch_size={BATCH}", *data]
    ours = run_training("tuneship", PLAIN, logs, *same, f"training.max_steps={STEPS}")
    length = f"training.max_steps={QUICK_STEPS}" if quick else f"training.num_train_epochs={EPOCHS}"
    theirs = run_training("transformers", PLAIN, logs, *same, length)
    return compare(fast, ours, theirs, whole_steps(theirs, quick))


def whole_steps(theirs: Times, quick: bool) -> int:
    rows = 10_003
    return EPOCHS * -(-rows // BATCH) if quick else theirs.steps


def compare(fast: Times, ours: Times, theirs: Times, steps: int) -> list[Figure]:
    reckoned = theirs.steps != steps
    whole = theirs.extended(steps)
    note = f"reckoned from {theirs.steps} steps" if reckoned else ""
    paces = [times.samples_a_second(BATCH) for times in (ours, theirs)]
    quiet = "other processes slow all of these: measure on a quiet machine"
    return [
        Figure("tuneship train: first step after", fast.first_step, "s", note=quiet),
        Figure(f"tuneship train, {FAST.name}: weights trained after", fast.trained, "s"),
        Figure("its test accuracy", 100 * fast.accuracy, "%", failed=fast.accuracy < TARGET),
        Figure("the whole command, evaluated and reported", fast.ended, "s"),
        Figure("transformers' Trainer with its defaults, trained after", whole.trained, "s", note=note),
        *([] if reckoned else [Figure("its test accuracy, Trainer", 100 * theirs.accuracy, "%")]),
        Figure("Trainer's time / ours, to trained weights", whole.trained / fast.trained, "×", note=note),
        Figure("Trainer's time / ours, whole commands", whole.ended / fast.ended, "×", note=note),
        Figure(f"samples a second at batch size {BATCH}, tuneship", paces[0], "/s"),
        Figure(f"samples a second at batch size {BATCH}, Trainer", paces[1], "/s"),
        Figure("samples a second, tuneship / Trainer", paces[0] / paces[1], "×"),
    ]


def run_training(system: str, recipe: Path, logs: Path, *overrides: str) -> Times:
    """Raises MeasurementError."""
    result = logs / f"training-{system}.json"
    logs.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.training_process", system, str(recipe), str(result.absolute()), *overrides]
    with spawned(f"{system}, {recipe.name}", command, log=logs / f"training-{system}.log") as child:
        if status := child.process.wait(LIMIT):
            raise MeasurementError(child.explain(f"ended with status {status}"))
    told: dict[str, Any] = json.loads(result.read_text())
    since = {name: told[name] - child.started for name in ("first_step", "last_step", "trained", "ended")}
    return Times(**since, steps=told["steps"], accuracy=told["accuracy"])
