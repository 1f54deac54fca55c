"""Commands that torchrun or accelerate starts in several processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from serving.errors import InputError, ToldByAnother

PARALLEL = ("train", "replay")
"""The commands that may be."""

LAUNCHER_SECONDS = 10.0
"""In which a launcher has seen that the first process failed."""

Share = Callable[[], AbstractContextManager[None]]
"""An error in its block is that of all processes, and told once."""


@contextmanager
def all_processes() -> Iterator[Share]:
    """The processes as one; alone, nothing is imported."""
    if _count() < 2:
        yield nullcontext
        return
    _refuse_other_ways()
    # its reducer warns where every weight has a gradient, and trainings differ in that from epoch to epoch
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from trainer.run.processes import joined, shared_errors

    with joined():
        yield shared_errors


def _refuse_other_ways() -> None:
    """Raise an error where accelerate's configuration asks for what it would not get."""
    for name in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true":
            _tell_once(
                f"accelerate's configuration asks for {name}, which Tuneship does not take from there; choose DDP in"
                " it, and divide a model by training.fsdp: true"
            )


def _tell_once(message: str) -> None:
    """Raise it in the first process. The launcher ends the others with it, and would end it with them."""
    if not rank():
        raise InputError(message)
    time.sleep(LAUNCHER_SECONDS)
    raise ToldByAnother(0, 1)


def require_one_process(command: str | None) -> None:
    """Raise an error where several processes run a command that is for one."""
    if _count() < 2 or command in PARALLEL:
        return
    _tell_once(
        f"tuneship {command}: runs in one process, and {_count()} were started; start it without torchrun or accelerate"
        f" launch, which only tuneship {' and '.join(PARALLEL)} can use"
    )


def _count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """This process's number among those that torchrun has started; 0 where it has not."""
    return int(os.environ.get("RANK", "0"))
