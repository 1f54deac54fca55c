"""Whether the states of a training fit on the disk is told before its first step."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from serving.errors import InputError
from tests.trainer.conftest import MakeRecipe
from trainer.run.disk import require_disk
from trainer.train import train


class Usage(NamedTuple):
    free: int


def test_room_enough(tmp_path: Path) -> None:
    """A folder that is not there yet is on the disk of the first one above it that is."""
    require_disk(tmp_path / "a" / "b", 1, "the training writes")


def test_a_disk_that_is_too_small(toy: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training says what it needs and what is free, and writes nothing."""
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(100_000))
    with pytest.raises(InputError, match=r"writes about 0.6 MB, and its disk has 0\.1 MB free; make room"):
        train(toy(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
