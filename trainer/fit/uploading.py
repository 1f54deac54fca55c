"""The states of a training at another place, from its first step to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stores.runs.states import StatesPlace
from trainer.run.mirror import Changes, Mirror
from trainer.run.run import Run


class UploadStates(TrainerCallback):  # type: ignore[misc]
    """Once a state is whole on this machine, it is uploaded; before a signal ends the training."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            self._mirror.save()


@contextmanager
def kept_at(
    place: StatesPlace | None, run: Run, changes: Changes, console: Console, *, overwrite: bool
) -> Iterator[list[TrainerCallback]]:
    """Begin with what the place has of the run; at the end the finished run is there, or the newest state.

    Raises InputError, StoreError, NotKept. None keeps nothing.
    """
    if place is None:
        yield []
        return
    mirror = Mirror(run, place, console)
    mirror.begin(changes, overwrite=overwrite)
    try:
        yield [UploadStates(mirror)]
    except BaseException:
        if failure := mirror.wait():
            lost = f"the newest state is on this machine only, in {run.root}: {failure}"
            console.print(f"[red]error[/red]  {escape(lost)}", soft_wrap=True, highlight=False)
        raise
    mirror.finish(changes)
