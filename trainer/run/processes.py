"""Several processes that train one model, as torchrun starts them: who they are, and what they tell each other.

What they tell goes by a group of its own (gloo), beside the one of the gradients: it has no deadline, as one process
may prepare or evaluate for hours while the others wait, and it ends at once where a process dies. Without several
processes every function here is that of one.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from serving.errors import InputError, Interrupted, ToldByAnother, UserError, shorten
from serving.settings.settings import available_cpus

Value = TypeVar("Value")

_PATIENCE = timedelta(days=7)
_group: dist.ProcessGroup | None = None


class ProcessLost(UserError):
    """Another process has ended, and says why itself."""


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Among those that torchrun has started; alone where it has started one.

    An error that another process tells leaves only once that process has ended, as a launcher stops all at the first
    that fails.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    _join()
    try:
        yield
    except ToldByAnother as error:
        _outlive(error.teller)
        raise
    except Interrupted as error:
        raise raised_by_all(error) from None  # a launcher stops them all
    _leave()  # who tells an error leaves the group by its end alone


def count() -> int:
    return dist.get_world_size(_group) if _group else 1


def rank() -> int:
    return dist.get_rank(_group) if _group else 0


def is_first() -> bool:
    """The one that writes, prints and asks."""
    return rank() == 0


def gather(value: Value) -> list[Value]:
    """Each process's value, by rank."""
    if _group is None:
        return [value]
    values: list[Value] = [value] * count()
    with told_losses():
        dist.all_gather_object(values, value, group=_group)
    return values


def broadcast(value: Value) -> Value:
    """The first process's value."""
    if _group is None:
        return value
    values = [value]
    with told_losses():
        dist.broadcast_object_list(values, group=_group, group_src=0)
    return values[0]


def largest(value: int) -> int:
    """Of all processes; cheap enough for each step."""
    if _group is None:
        return value
    found = torch.tensor(value)
    with told_losses():
        dist.all_reduce(found, dist.ReduceOp.MAX, group=_group)
    return int(found)


def wait() -> None:
    """For all to be here."""
    largest(0)


def from_first(make: Callable[[], Value]) -> Value:
    """What the first process makes while the others wait; they share its error too."""
    with shared_errors():
        made = [make()] if is_first() else []
    return broadcast(made)[0]


@contextlib.contextmanager
def first_goes_ahead() -> Iterator[None]:
    """The others enter when the first has left, such as to read what it has written."""
    with shared_errors():
        if is_first():
            yield
    if not is_first():
        yield


@contextlib.contextmanager
def shared_errors() -> Iterator[None]:
    """Where the block fails in some processes, the first of these raises its error, and the others ToldByAnother.

    No process may need another one inside the block.
    """
    if _group is None:
        yield
        return
    caught: Exception | None = None
    try:
        yield
    except Exception as error:  # of any kind: the others must not wait for this process
        caught = error
    statuses = gather(getattr(caught, "status", 1) if caught else 0)
    teller = next((at for at, status in enumerate(statuses) if status), None)
    if teller is None:
        return
    if caught and teller == rank():
        raise caught
    raise ToldByAnother(teller, statuses[teller])


def raised_by_all(error: UserError) -> UserError:
    """To raise where all raise it, so that it is told once."""
    return error if is_first() else ToldByAnother(0, getattr(error, "status", 1))


@contextlib.contextmanager
def told_losses() -> Iterator[None]:
    """What gloo or NCCL says where another process has ended becomes ProcessLost."""
    try:
        yield
    except RuntimeError as error:
        if _group is None or not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise raised_by_all(ProcessLost("another process has ended; it says why, unless it was killed")) from error


def _join() -> None:
    global _group
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cpus() // local)))
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    except (ValueError, dist.DistNetworkError) as error:  # a variable is missing; nobody answers
        raise InputError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, and the processes do not find each other"
            f" ({shorten(str(error), 200)}); start them by torchrun, or set MASTER_ADDR, MASTER_PORT, RANK, LOCAL_RANK"
            " and LOCAL_WORLD_SIZE as it does; unset WORLD_SIZE to train in one"
        ) from error
    _group = dist.new_group(backend="gloo", timeout=_PATIENCE)


def _outlive(teller: int) -> None:
    """Return when that process has ended."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(RuntimeError):  # that its connection is closed
        dist.recv(torch.zeros(1), group=_group, group_src=teller)


def _leave() -> None:
    global _group
    _group = None
    dist.destroy_process_group()
