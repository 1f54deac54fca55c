"""What a person sees while a model trains: one bar, one line an evaluation, a table at the end."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.metrics.display import figures_table, metric_title


class TrainingProgress(TrainerCallback):  # type: ignore[misc]
    """A bar for the training steps (on a terminal), and a line for each evaluation (everywhere).

    Use it as a context, so that an interrupted training leaves the terminal as it was.
    """

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
        """Set the bar's length; a resumed run starts where it was."""
        self.started = time.monotonic()
        self.bar.update(self.task, total=state.max_steps, completed=state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=state.global_step, epoch=_epoch(state))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Keep the training loss."""
        if logs and "loss" in logs:
            self.loss = logs["loss"]
            self.bar.update(self.task, loss=f"{self.loss:.3f}")

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Print what this evaluation found."""
        found = metrics or {}
        scores = {name.removeprefix("eval_"): value for name, value in found.items() if name != "eval_loss"}
        self.bar.update(self.task, metric=f"{scores[self.metric]:.3f}")
        first_two = sorted(scores, key=lambda name: name != self.metric)[:2]  # a line has 80 characters
        shown = "  ".join(f"{metric_title(name)} {scores[name]:.4f}" for name in first_two)
        self.console.print(
            f"epoch {_epoch(state)}  loss {self.loss:.3f}  validation {shown}  {time.monotonic() - self.started:.0f} s",
            highlight=False,
        )


def _epoch(state: TrainerState) -> str:
    return f"{state.epoch or 0:.2f}".rstrip("0").rstrip(".") + f"/{state.num_train_epochs}"


def show_data(console: Console, record: dict[str, Any], warnings: list[str]) -> None:
    """One line on the base model, one on the data, one for each warning."""
    splits = record["data"]["splits"]
    sizes = " · ".join(f"{facts['rows']} {name}" for name, facts in splits.items())
    console.print(f"base model {record['model']['id']} ({record['model']['source']})", highlight=False)
    labels = f", {len(record['labels'])} labels" if len(record["labels"]) > 1 else ""
    console.print(f"data {sizes} rows{labels}", highlight=False)
    for warning in warnings:
        console.print(f"[yellow]warning[/yellow] {_escaped(warning)}", highlight=False)


def show_summary(console: Console, record: dict[str, Any]) -> None:
    """The run's figures as a small table."""
    headings, rows = figures_table(record)
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
