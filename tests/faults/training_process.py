"""A training in a process of its own, which faults may end: at a moment, at a file event, by the disk."""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rich.console import Console

from serving.errors import UserError
from serving.files import explain
from tests.trainer.conftest import weights
from trainer.recipe.recipe import load_recipe
from trainer.run.lock import require_locked
from trainer.run.run import Run
from trainer.train import train

EVENTS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
"""Of Python's audit, beside files that are opened for writing."""

SAME = ("metrics", "settings", "history", "best_step", "averaged", "soup")
"""What two records share."""

FINISHED, REFUSED, FAILED = 0, 2, 3
"""Exit codes: the message is for a user, or a traceback."""


@dataclass(frozen=True)
class Faults:
    """``event``: SIGKILL at this file event, counted from 1; ``most_bytes``: of a file that is written."""

    event: int = 0
    most_bytes: int = 0


class TrainingProcess:
    """Starts it at once; what is imported is imported once for all."""

    def __init__(self, recipe: Path, output: Path, faults: Faults | None = None) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._words, words = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=_train, args=(recipe, output, faults or Faults(), words))
        self.process.start()
        words.close()

    def kill_after(self, seconds: float) -> None:
        """Unless it ends before."""
        self.process.join(seconds)
        self.process.kill()

    @property
    def code(self) -> int | None:
        """Of its exit, which is waited for."""
        self.process.join(120)
        return self.process.exitcode

    @cached_property
    def words(self) -> str:
        """How many file events there were, or what the error is."""
        return str(self._words.recv())


def require_same(whole: Path, resumed: Path) -> None:
    """Two finished runs have equal weights, records and names of files, and are as their locks say."""
    first, second = Run.open(whole), Run.open(resumed)
    assert weights(first) == weights(second)
    assert first.evaluation.read_bytes() == second.evaluation.read_bytes()
    records = first.read_record(), second.read_record()
    assert all(records[0].get(key) == records[1].get(key) for key in SAME)
    names = [sorted(path.relative_to(run.root).as_posix() for path in run.root.rglob("*")) for run in (first, second)]
    assert names[0] == names[1]
    require_locked(second)


def _train(recipe: Path, output: Path, faults: Faults, words: Connection) -> None:
    """Errors are told as the command line tells them."""
    events = _watch(output, faults.event)
    if faults.most_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead of the signal
        resource.setrlimit(resource.RLIMIT_FSIZE, (faults.most_bytes, faults.most_bytes))
    try:
        train(load_recipe(recipe), output, console=Console(file=io.StringIO()), threads=1)
        code, said = FINISHED, str(events[0])
    except Exception as error:
        message = str(error) if isinstance(error, UserError) else explain(error)
        code, said = (REFUSED, message) if message else (FAILED, traceback.format_exc()[-4000:])
    words.send(said)
    sys.exit(code)


def _watch(output: Path, last: int) -> list[int]:
    """Counts the file events under ``output``, and ends the process before number ``last``."""
    count = [0]

    def note(event: str, args: tuple[Any, ...]) -> None:
        writes = event in EVENTS or (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if writes and str(args[0]).startswith(str(output)):
            count[0] += 1
            if count[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(note)
    return count
