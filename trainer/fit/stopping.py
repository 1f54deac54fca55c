"""States between evaluations, and a training that is told to stop: it saves its state first."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from serving.errors import Interrupted
from trainer.run.processes import count, is_first, largest, raised_by_all

SIGNALS = (signal.SIGTERM, signal.SIGINT)
RESUME = "repeat the command to go on"


class SaveBetween(TrainerCallback):  # type: ignore[misc]
    """Saves a state every ``steps`` steps, beside those of evaluations."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, train_dataloader: Sized, **_: Any
    ) -> None:
        if state.global_step % self._steps == 0 and _is_inside_epoch(args, state, train_dataloader):
            control.should_save = True


class StopOnSignal(TrainerCallback):  # type: ignore[misc]
    """Raises Interrupted: in a training once its state is saved; outside of it, or at a second signal, at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._signal: signal.Signals | None = None
        self._trains = False

    @contextmanager
    def handle(self) -> Iterator[StopOnSignal]:
        """Of SIGTERM, as a scheduler or a spot machine sends it, and of Ctrl-C."""
        before = {each: signal.signal(each, self._receive) for each in SIGNALS}
        try:
            yield self
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self._trains or (self._signal and count() == 1):
            raise Interrupted(number, f"stopped by {signal.Signals(number).name}; {RESUME}")
        if self._signal:
            return  # a launcher passes on what the processes get anyway, and kills those that take too long
        self._signal = signal.Signals(number)
        second = "; a second one stops at once" if count() == 1 else ""
        if is_first():
            self._console.print(f"{self._signal.name}: saving the state{second}", highlight=False)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._trains = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, train_dataloader: Sized, **_: Any
    ) -> None:
        if self._agree() and _is_inside_epoch(args, state, train_dataloader):
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._stop(f"the state of step {state.global_step} is saved")

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._trains = False
        self._stop("the training is over, and its state is saved")

    def _agree(self) -> bool:
        """Whether any process was told to stop: then all do, at the same step."""
        if number := largest(self._signal or 0):
            self._signal = signal.Signals(number)
        return bool(number)

    def _stop(self, saved: str) -> None:
        if self._agree():
            assert self._signal
            error = Interrupted(self._signal, f"stopped by {self._signal.name}: {saved}; {RESUME}")
            raise raised_by_all(error)


def _is_inside_epoch(args: TrainingArguments, state: TrainerState, batches: Sized) -> bool:
    """A state of an epoch's last step would be resumed behind the epoch's end, and what is done there."""
    steps = -(-len(batches) // args.gradient_accumulation_steps)
    return bool(state.global_step % steps) and bool(state.global_step < state.max_steps)
