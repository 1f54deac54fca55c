"""A training that is told to stop saves its state, says so, and goes on from there to the same weights."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import TrainerCallback

from serving.errors import Interrupted
from tests.paths import ROOT
from tests.tiny import write_recipe
from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, WholeRun, fit, weights
from trainer.fit.resume import newest_state
from trainer.fit.stopping import StopOnSignal
from trainer.run.run import Run

STEPS_AN_EPOCH = 6


class SignalAt(TrainerCallback):  # type: ignore[misc]
    """Sends this process a signal in the middle of step ``step``."""

    def __init__(self, step: int, number: signal.Signals) -> None:
        self.step, self.number = step, number

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step + 1 == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "number"),
    [(2, signal.SIGTERM), (STEPS_AN_EPOCH, signal.SIGINT), (STEPS_AN_EPOCH + 3, signal.SIGTERM)],
    ids=["before-the-first-evaluation", "at-the-end-of-an-epoch", "later"],
)  # fmt: skip
def test_a_signal_saves_the_state(
    toy: MakeRecipe, whole: WholeRun, tmp_path: Path, step: int, number: signal.Signals
) -> None:
    """The run goes on from the very step, to the weights of one that was never stopped."""
    before = signal.getsignal(number)
    with StopOnSignal(Console(file=io.StringIO())).handle() as stop, pytest.raises(Interrupted) as caught:
        fit(toy(), tmp_path / "run", SignalAt(step, number), stop)
    assert f"stopped by {number.name}: the state of step {step} is saved; repeat the command" in str(caught.value)
    assert caught.value.status == 128 + number
    state = newest_state(tmp_path / "run" / "state")
    assert state
    assert (state.step, state.ended) == (step, False)
    assert signal.getsignal(number) == before
    resumed = fit(toy(), tmp_path / "run")
    assert weights(resumed) == weights(whole())
    assert resumed.read_record()["best_step"] == whole().read_record()["best_step"]


@pytest.mark.slow
def test_states_between_evaluations(toy: MakeRecipe, whole: WholeRun, tmp_path: Path) -> None:
    """A killed run loses few steps; the best checkpoint stays the best, and no weight depends on what was saved."""
    with pytest.raises(Stopped):
        fit(toy(training={"save_steps": 2}), tmp_path / "run", StopAt(STEPS_AN_EPOCH + 5))
    state = newest_state(tmp_path / "run" / "state")
    assert state
    assert state.step == STEPS_AN_EPOCH + 4
    assert state.best
    assert state.best.is_dir()
    resumed = fit(toy(training={"save_steps": 5}), tmp_path / "run")
    assert weights(resumed) == weights(whole())
    assert (
        resumed.read_record()["history"][-1]["validation_accuracy"]
        == (whole().read_record()["history"][-1]["validation_accuracy"])
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_says_how_to_go_on(
    tiny_backbone: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """Its status is the one that a shell gives a process stopped so."""
    recipe = write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 500})
    command = [sys.executable, "-m", "tuneship", "train", str(recipe), "--output", str(tmp_path / "run")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run").glob("state/checkpoint-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
        assert process.poll() is None
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status
    assert f"stopped by {number.name}: the state of step" in told
    assert "repeat the command to go on" in told
    assert Run(tmp_path / "run").status() == "running"
