"""What the terminal shows of a training."""

from __future__ import annotations

import math
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from serving.observability.progress import Part
from trainer.metrics.display import figures_table, metric_title


class TrainingProgress(TrainerCallback):  # type: ignore[misc]
    """Reports every step, and prints a line per evaluation; as a context, so that the report always ends."""

    def __init__(self, console: Console, metric: str) -> None:
        self.console = console
        self.metric = metric
        self.loss = float("nan")
        self.started = time.monotonic()
        self._part: Part | None = None
        self._step = 0
        self._validation = ""

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._part:
            self._part.close()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started, self._step, self._validation = time.monotonic(), state.global_step, ""
        if self._part:
            self._part.close()
        self._part = Part(self._describe(state), state.max_steps, state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._part:
            self._part.describe(self._describe(state))
            self._part.advance(state.global_step - self._step)
            self._step = state.global_step

    def _describe(self, state: TrainerState) -> str:
        loss = "" if math.isnan(self.loss) else f"  loss {self.loss:.3f}"
        return f"epoch {_epoch(state)}{loss}{self._validation}"

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        if logs and "loss" in logs:
            self.loss = logs["loss"]

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **_: Any
    ) -> None:
        scores = {name.removeprefix("eval_"): value for name, value in (metrics or {}).items() if name != "eval_loss"}
        self._validation = f"  validation {scores[self.metric]:.3f}"
        first_two = sorted(scores, key=lambda name: name != self.metric)[:2]  # a line has 80 characters
        validation = "  ".join(f"{metric_title(name)} {scores[name]:.4f}" for name in first_two)
        seconds = f"{time.monotonic() - self.started:.0f} s"
        line = f"epoch {_epoch(state)}  loss {self.loss:.3f}  validation {validation}  {seconds}"
        self.console.print(line, highlight=False, soft_wrap=True)


def _epoch(state: TrainerState) -> str:
    return f"{state.epoch or 0:.2f}".rstrip("0").rstrip(".") + f"/{state.num_train_epochs}"


def show_data(console: Console, record: dict[str, Any], warnings: list[str]) -> None:
    sizes = " · ".join(f"{split['rows']} {name}" for name, split in record["data"]["splits"].items())
    base = f"base model {record['model']['id']} ({record['model']['source']})"
    console.print(base, highlight=False, markup=False, soft_wrap=True)
    labels = f", {len(record['labels'])} labels" if len(record["labels"]) > 1 else ""
    console.print(f"data {sizes} rows{labels}", highlight=False)
    for warning in warnings:
        console.print(f"[yellow]warning[/yellow] {escape(warning)}", highlight=False)


def show_summary(console: Console, record: dict[str, Any]) -> None:
    headings, rows = figures_table(record)
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
