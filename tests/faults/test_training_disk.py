"""A training onto a full or read-only disk says so, and goes on to the same weights when there is room."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import tiny
from tests.faults.results import record, times
from tests.faults.test_resources import small_disk
from tests.faults.training_process import FINISHED, REFUSED, Faults, TrainingProcess, require_same

TRAINING = {"num_train_epochs": 2, "weight_averaging_epochs": 2}


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


@pytest.mark.slow
def test_disk(tiny_backbone: Path, tmp_path: Path) -> None:
    """Too small at random, several times in a run, and read-only before the first."""
    recipe = tiny.write_recipe(tmp_path, tiny_backbone, training=TRAINING)
    whole = TrainingProcess(recipe, tmp_path / "whole")
    assert whole.code == FINISHED, whole.words
    rng, tried = random.Random(0), times(4, 40)
    with small_disk(tmp_path / "disk", "size=8m,ro") as disk:
        output = disk / "run"
        training = TrainingProcess(recipe, output)
        assert (training.code, "read-only file system" in training.words) == (REFUSED, True), training.words
        for attempt in range(tried):
            remount(disk, f"rw,size={shutil.disk_usage(disk).used // 1024 + rng.randint(rng.choice((4, 700)), 1200)}k")
            training = TrainingProcess(recipe, output)
            assert training.code == FINISHED or (training.code == REFUSED and "room" in training.words), training.words
            remount(disk, "rw,size=8m")
            if attempt % 2 or training.code == FINISHED:
                training = TrainingProcess(recipe, output)
                assert training.code == FINISHED, training.words
                require_same(tmp_path / "whole", output)
                shutil.rmtree(output)
    record("training onto a full or read-only disk", tried + 1, "times", seen="a message, then equal weights")


@pytest.mark.slow
def test_file_sizes(tiny_backbone: Path, tmp_path: Path) -> None:
    """Of files that may not grow, the first that is too large is told."""
    recipe, output = tiny.write_recipe(tmp_path, tiny_backbone, training=TRAINING), tmp_path / "run"
    for most in (2_000, 40_000, 120_000):
        training = TrainingProcess(recipe, output, Faults(most_bytes=most))
        assert (training.code, "allow larger files" in training.words) == (REFUSED, True), training.words
    training = TrainingProcess(recipe, output)
    assert training.code == FINISHED, training.words
