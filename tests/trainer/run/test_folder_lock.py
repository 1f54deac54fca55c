"""One training at a time in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.conftest import MakeRecipe, StopAt, Stopped, fit
from trainer.run.folder_lock import LOCK_FILE, FolderInUse, folder_lock

HOLDER = """
import sys, time
from pathlib import Path
from trainer.run.folder_lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process(tmp_path: Path) -> None:
    """A folder in which another process trains is refused with that process's id; killed, it leaves no lock."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(FolderInUse, match=rf"another training \(process {holder.pid}\).*another --output"),
        folder_lock(tmp_path),
    ):
        pass
    holder.kill()
    holder.communicate()
    assert (tmp_path / LOCK_FILE).exists()
    with folder_lock(tmp_path):
        pass
    assert not (tmp_path / LOCK_FILE).exists()


@pytest.mark.slow
def test_training_beside_training(toy: MakeRecipe, tmp_path: Path) -> None:
    """A second training into the same folder is refused; the first finishes undisturbed."""
    recipe, seen = toy(training={"num_train_epochs": 1}), []

    class Beside(StopAt):
        def on_step_end(self, args: object, state: object, control: object, **_: object) -> None:
            with pytest.raises(FolderInUse, match="is running in this folder") as caught:
                fit(recipe, tmp_path / "run", overwrite=True)
            seen.append(caught.value)

    assert fit(recipe, tmp_path / "run", Beside(0)).status() == "finished"
    assert seen
    assert not (tmp_path / "run" / LOCK_FILE).exists()


@pytest.mark.slow
def test_after_an_interruption(toy: MakeRecipe, tmp_path: Path) -> None:
    """A stopped training leaves the folder free, and a folder with a dead process's lock file can be used."""
    recipe = toy(training={"num_train_epochs": 1})
    with pytest.raises(Stopped):
        fit(recipe, tmp_path / "run", StopAt(1))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / LOCK_FILE).write_text("1\n")
    assert fit(recipe, tmp_path / "other").status() == "finished"
    assert fit(recipe, tmp_path / "run").status() == "finished"


def test_planted_link(tmp_path: Path) -> None:
    """A lock file that is a link to another file leaves that one as it is."""
    (tmp_path / "victim").write_text("mine")
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="Too many levels of symbolic links"), folder_lock(tmp_path):
        pass
    assert (tmp_path / "victim").read_text() == "mine"
