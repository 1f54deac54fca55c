"""What the terminal shows of a training."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.metrics.display import figures_table, metric_title


class TrainingProgress(TrainerCallback):  # type: ignore[misc]
    """A bar on a terminal, and a line per evaluation; as a context, so that the bar is always removed."""

    def __init__(self, console: Console, metric: str) -> None:
        self.console = console
        self.metric = metric
        self.loss = float("nan")
        self.started = time.monotonic()
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %  loss {task.fields[loss]}  validation {task.fields[metric]}  ETA"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("train", total=None, epoch="–", loss="–", metric="–")

    def __enter__(self) -> TrainingProgress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.started = time.monotonic()
        self.bar.update(self.task, total=state.max_steps, completed=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.bar.update(self.task, completed=state.global_step, epoch=_epoch(state))

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        if logs and "loss" in logs:
            self.loss = logs["loss"]
            self.bar.update(self.task, loss=f"{self.loss:.3f}")

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **_: Any
    ) -> None:
        scores = {name.removeprefix("eval_"): value for name, value in (metrics or {}).items() if name != "eval_loss"}
        self.bar.update(self.task, metric=f"{scores[self.metric]:.3f}")
        first_two = sorted(scores, key=lambda name: name != self.metric)[:2]  # a line has 80 characters
        validation = "  ".join(f"{metric_title(name)} {scores[name]:.4f}" for name in first_two)
        seconds = f"{time.monotonic() - self.started:.0f} s"
        line = f"epoch {_epoch(state)}  loss {self.loss:.3f}  validation {validation}  {seconds}"
        self.console.print(line, highlight=False)


def _epoch(state: TrainerState) -> str:
    return f"{state.epoch or 0:.2f}".rstrip("0").rstrip(".") + f"/{state.num_train_epochs}"


def show_data(console: Console, record: dict[str, Any], warnings: list[str]) -> None:
    sizes = " · ".join(f"{split['rows']} {name}" for name, split in record["data"]["splits"].items())
    console.print(f"base model {record['model']['id']} ({record['model']['source']})", highlight=False)
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
