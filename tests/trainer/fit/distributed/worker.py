"""What each process of `launch.train_in_processes` runs: the trainings that a file lists, one after the other."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from matplotlib import pyplot as plt
from rich.console import Console
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from serving.errors import Interrupted, ToldByAnother
from trainer.fit.stopping import StopOnSignal
from trainer.recipe.recipe import load_recipe
from trainer.run.processes import joined, rank
from trainer.train import train


class StopSecondProcess(TrainerCallback):  # type: ignore[misc]
    """Sends SIGTERM to the second process alone, in the middle of a step."""

    def __init__(self, step: int | None) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step + 1 == self.step and rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)


class CountElements(TrainerCallback):  # type: ignore[misc]
    """Of weights, gradients and moments in this process, at the first step."""

    def __init__(self, output: Path) -> None:
        self.file = output.with_name(f"{output.name}.{rank()}.json")

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        self.gradients = _count(weight.grad for weight in model.parameters() if weight.grad is not None)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any, optimizer: Any, **_: Any) -> None:
        moments = (each for of_weight in optimizer.state.values() for each in of_weight.values())
        counts = {"weights": _count(model.parameters()), "gradients": self.gradients}
        counts["moments"] = _count(each for each in moments if each.ndim)  # a step has none
        self.file.write_text(json.dumps(counts), encoding="utf-8")


def _count(tensors: Iterable[Any]) -> int:
    return sum((each.to_local() if isinstance(each, DTensor) else each).numel() for each in tensors)


def run(job: dict[str, Any]) -> None:
    """Train; a training that is stopped must be stopped in each process."""
    settings, output = load_recipe(Path(job["recipe"])), Path(job["output"])
    with StopOnSignal(Console(file=io.StringIO())).handle() as stop:
        callbacks = [CountElements(output), StopSecondProcess(job["stop_at"]), stop]
        try:
            train(settings, output, console=Console(file=io.StringIO()), callbacks=callbacks)
        except (Interrupted, ToldByAnother) as error:
            told = f"{type(error).__name__} {error.status} {error}"
            output.with_name(f"{output.name}.{rank()}.txt").write_text(told, encoding="utf-8")


if __name__ == "__main__":
    with mock.patch("trainer.run.report.figures._save", lambda figure, path: plt.close(figure)), joined():
        for each in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
            run(each)
