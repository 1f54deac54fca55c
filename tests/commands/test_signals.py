"""SIGTERM and Ctrl-C to real processes: the status, what is left, and that a repeated command goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import tiny
from tests.paths import ROOT
from tests.serving.processes import environment
from trainer.run.run import Run

SECONDS = 120


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which is killed in the end."""
    command = [sys.executable, "-m", "tuneship", *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=take_interrupts,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def take_interrupts() -> None:
    """As in a terminal: a shell's background jobs, tests among them, are started without."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """The output up to a line with these words."""
    assert process.stdout is not None
    shown, end = "", time.monotonic() + SECONDS
    while words not in shown:
        line = process.stdout.readline()
        assert line, f"the command ended before it said {words!r}:\n{shown}"
        assert time.monotonic() < end, shown
        shown += line
    return shown


def stop(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """The rest of the output, after the signal."""
    process.send_signal(number)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + number, out
    assert "Traceback" not in out, out
    return out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_export_leaves_nothing(tiny_run: Run, tmp_path: Path, number: signal.Signals) -> None:
    """No bundle, no temporary folder, and a run that can be exported again."""
    with started("export", tiny_run.root, "--output", tmp_path / "bundle") as process:
        read_until(process, "converting and proving")
        told = stop(process, number)
    assert f"stopped by {number.name}; no bundle was written" in told
    assert "repeat the command" in told
    assert [path.name for path in tmp_path.iterdir()] == []
    assert Run.open(tiny_run.root)


@pytest.mark.slow
def test_a_search_goes_on(tiny_backbone: Path, tmp_path: Path) -> None:
    """The trials so far are kept; the one that was running is taken up again."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 40})
    asked = ("tune", recipe, "--output", tmp_path / "study", "--no-learning-curve")
    with started(*asked, "--minutes", 5) as process:
        read_until(process, "trial 1; best")  # the step, once trial 0 has ended
        told = stop(process, signal.SIGTERM)
    assert "the study has the trials so far: repeat the command to go on" in told
    with started(*asked, "--minutes", 1, "--trials", 1) as process:
        out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, out
    assert "going on after" in out
    assert (tmp_path / "study" / "best.yaml").is_file()


@pytest.mark.slow
def test_a_kept_replay_goes_on(tiny_backbone: Path, tmp_path: Path) -> None:
    """With --output the state is saved; repeated, the weights are those of the run."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone, training={"num_train_epochs": 30})
    with started("train", recipe, "--output", tmp_path / "run") as process:
        out, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, out
    asked = ("replay", tmp_path / "run", "--output", tmp_path / "again")
    with started(*asked) as process:
        read_until(process, "epoch 3/30")
        told = stop(process, signal.SIGTERM)
    assert "is saved; repeat the command to go on" in told
    with started(*asked) as process:
        out, _ = process.communicate(timeout=SECONDS)
    assert "resuming from step" in out
    assert "✓ weights: as locked" in out, out


@pytest.mark.slow
def test_a_replay_that_is_not_kept(tiny_run: Run) -> None:
    """It says how it could have been."""
    with started("replay", tiny_run.root) as process:
        read_until(process, "epoch 1/")
        told = stop(process, signal.SIGINT)
    assert "nothing is kept; with --output DIR" in told
