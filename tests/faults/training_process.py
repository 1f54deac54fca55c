"""A training in a process of its own, which a fault may end: at a moment, at a file event, by a file size limit."""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import signal
import sys
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

EVENTS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
"""Of Python's audit, beside files that are opened for writing."""

FINISHED, REFUSED, FAILED = 0, 2, 3


@dataclass(frozen=True)
class Faults:
    """``event``: SIGKILL at this file event, counted from 1; ``most_bytes``: of a file that is written."""

    event: int = 0
    most_bytes: int = 0


def start(recipe: Path, output: Path, faults: Faults | None = None) -> BaseProcess:
    """A process that trains; it says in ``output``.txt how many file events there were, or what the error is."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.train"])
    process = context.Process(target=_train, args=(recipe, output, faults or Faults()))
    process.start()
    return process


def said(output: Path) -> str:
    """What the process left in words."""
    return _words(output).read_text(encoding="utf-8")


def _words(output: Path) -> Path:
    return output.with_name(output.name + ".txt")


def _train(recipe: Path, output: Path, faults: Faults) -> None:
    """Exit with FINISHED, REFUSED (a message for the user) or FAILED (a traceback)."""
    import traceback

    from rich.console import Console

    from serving.errors import UserError
    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    _words(output).unlink(missing_ok=True)
    events = _watch(output, faults.event)
    if faults.most_bytes:
        _limit(faults.most_bytes)
    try:
        train(load_recipe(recipe), output, console=Console(file=io.StringIO()), threads=1)
        code, words = FINISHED, str(events[0])
    except UserError as error:
        code, words = REFUSED, str(error)
    except Exception:
        code, words = FAILED, traceback.format_exc()
    _words(output).write_text(words[-4000:], encoding="utf-8")
    sys.exit(code)


def _limit(most_bytes: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does: an error instead of the signal
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def _watch(output: Path, last: int) -> list[int]:
    """Counts the file events under ``output``, and ends the process before number ``last``."""
    count = [0]
    inside = str(output)

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and not (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        if (
            (event == "open" or event in EVENTS)
            and str(args[0]).startswith(inside)
            and not str(args[0]).endswith("t.txt")
        ):
            count[0] += 1
            if count[0] == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(note)
    return count
