"""States are uploaded in the background: a slow place holds no training up, and gets the newest."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from unittest import mock

import fsspec
import pytest
from rich.console import Console

from stores.runs.states import open_place
from trainer.run.mirror import Mirror
from trainer.run.run import Run

HERE = "memory://states/one"


@pytest.mark.usefixtures("memory")
def test_a_state_that_waits_gives_way_to_a_newer_one(tmp_path: Path) -> None:
    """While one is uploaded, others are saved; what a state had is uploaded, whatever becomes of its files."""
    run = Run(tmp_path)
    kind, slow, began = type(fsspec.filesystem("memory")), threading.Event(), threading.Event()
    put_file = kind.put_file

    def put_slowly(files: fsspec.AbstractFileSystem, source: str, path: str) -> None:
        began.set()
        assert slow.wait(60)
        put_file(files, source, path)

    with mock.patch.object(kind, "put_file", put_slowly):
        mirror = Mirror(run, open_place(HERE), Console(file=io.StringIO()))
        for number in range(4):
            checkpoint = run.state / f"checkpoint-{number}"
            checkpoint.mkdir(parents=True)
            (checkpoint / "optimizer.pt").write_text(f"moments {number}")
            mirror.save()
            (checkpoint / "optimizer.pt").unlink()
            checkpoint.rmdir()
            assert began.wait(60)
        slow.set()
        assert mirror.wait() is None
    newest, before = open_place(HERE).kept()
    assert [*before.files()] == ["state/checkpoint-0/optimizer.pt"]
    assert [*newest.files()] == ["state/checkpoint-3/optimizer.pt"]
    newest.fetch(newest.files(), tmp_path / "out")
    assert (tmp_path / "out/state/checkpoint-3/optimizer.pt").read_text() == "moments 3"
    assert not run.uploading.exists()
