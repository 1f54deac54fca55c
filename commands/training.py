"""Recipe → run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer import Argument, Option

from commands.arguments import Overrides, Recipe, Run
from commands.completion import tasks
from commands.processes import all_processes, rank
from commands.terminal import err, fail, log, out, tell
from commands.verbs import verb
from stores.locate import local

if TYPE_CHECKING:
    from stores.runs.states import StatesPlace
    from trainer.fit.machine.forecast import Forecast
    from trainer.fit.stopping import StopOnSignal
    from trainer.replay import Replay
    from trainer.run.run import Run as TrainedRun

NOT_REPEATED = "not repeated: the inputs differ from those in lock.json"
LONG_SECONDS = 15 * 60
"""From which on a terminal is asked."""


@verb(
    "tuneship train recipe.yaml --output runs/support",
    "tuneship train recipe.yaml -o runs/longer --set training.num_train_epochs=10",
    "tuneship train recipe.yaml -o runs/support --forecast",
)
def train(
    recipe: Recipe,
    output: Annotated[Path, Option("--output", "-o", metavar="RUN", parser=local, help="Folder for the run.")],
    set_: Overrides = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another run in that folder.")] = False,
    forecast: Annotated[bool, Option("--forecast", help="Only tell what it would take; write nothing.")] = False,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask, on a terminal, before a long training.")] = False,
    state_to: Annotated[
        str | None,
        Option("--state-to", metavar="URL", help="Keep states, and the finished run, at s3://…, gs://… or the like."),
    ] = None,
) -> None:
    """Fine-tune a model as a recipe says.

    To resume an interrupted run, repeat the command; on SIGTERM or Ctrl-C, its state is saved first. Before a fresh
    one, a few timed steps choose precision and threads and tell time and memory. With --state-to, the command goes on
    from there on another machine. In several processes: torchrun --nproc-per-node N -m tuneship train RECIPE ….
    """
    with all_processes() as share:
        with share():
            from trainer.recipe.recipe import load_recipe

            settings = load_recipe(recipe, set_ or [])
            place = _place(state_to) if state_to is not None else None
        from export.rehearsal import rehearse  # imports torch; a mistake in the recipe shows before
        from trainer.run.processes import is_first
        from trainer.train import forecast_training
        from trainer.train import train as run_training

        if forecast:
            with _progress():
                told = forecast_training(settings, output, console=log.console, check=rehearse)
            tell({"forecast": told.to_record() if told else None})
            return
        confirm = _accept if yes or not (err.console.is_terminal and sys.stdin.isatty()) else _ask
        with _progress(), _stoppable() as stop:
            run = run_training(
                settings, output, overwrite=overwrite, console=log.console, check=rehearse, confirm=confirm,
                callbacks=[stop], place=place,
            )  # fmt: skip
        if is_first():
            _show_run(run)


@contextmanager
def _progress() -> Iterator[None]:
    """Of the first process."""
    from commands.progress import show_progress

    if rank():
        yield
        return
    with show_progress():
        yield


@contextmanager
def _stoppable() -> Iterator[StopOnSignal]:
    """A signal saves the state of the training first."""
    from trainer.fit.stopping import StopOnSignal

    with StopOnSignal(err.console).handle() as stop:
        yield stop


def _show_run(run: TrainedRun) -> None:
    record = run.read_record()
    tell({"run": str(run.root), "report": str(run.report), "task": record["task"], "labels": record["labels"]})
    tell({"metric": record.get("metric"), "metrics": record["metrics"]})
    out.print(f"report  {escape(str(run.report))}", soft_wrap=True)


def _place(url: str) -> StatesPlace:
    from stores.runs.states import open_place

    return open_place(url)


def _accept(forecast: Forecast) -> bool:
    return True


def _ask(forecast: Forecast) -> bool:
    """Whether to go on with a long training."""
    if forecast.total_seconds < LONG_SECONDS:
        return True
    from serving.observability.progress_bars import paused_progress

    with paused_progress():
        return typer.confirm(f"This takes {forecast}. Go on?", default=True, err=True)


@verb(
    "tuneship replay runs/support",
    "tuneship replay runs/support --output runs/again --set data.train=moved.csv",
    stopped="nothing is kept; with --output DIR, a replay that was stopped goes on when it is repeated",
)
def replay(
    run: Run,
    output: Annotated[
        Path | None,
        Option("--output", "-o", metavar="DIR", parser=local, help="Keep the repeated run. [default: remove]"),
    ] = None,
    set_: Overrides = None,
) -> None:
    """Repeat a run from its lock.json and report every difference.

    Compares data, versions, metrics and weights, writes RUN/replay.json and exits with status 1 if something differs.
    If the data has moved, say where it is with --set data.train=FILE.
    """
    with all_processes():
        from trainer.replay import replay as replay_run
        from trainer.run.processes import is_first

        with _progress(), _stoppable() if output else nullcontext() as stop:
            result = replay_run(run, output, set_ or [], log.console, callbacks=[stop] if stop else [])
        if is_first():
            _show_replay(result)
    if not result.equal:
        fail("the run differs from its lock" if result.trained or result.private else NOT_REPEATED)


def _show_replay(result: Replay) -> None:
    tell(result.model_dump(mode="json"))
    for check in result.checks:
        mark = "[green]✓[/]" if check.equal else "[red]✗[/]" if check.decides else "[yellow]![/]"
        out.print(f"{mark} {check.name}: {escape('; '.join(check.differences) or 'as locked')}", soft_wrap=True)


@verb(
    "tuneship import ./checkpoint --rows test.csv --output runs/imported",
    "tuneship import team/model --rows test.csv -o runs/imported --text message",
    stopped="repeat the command to begin anew",
)
def import_(
    checkpoint: Annotated[str, Argument(metavar="CHECKPOINT", help="A trained model: a folder or a hub id.")],
    rows: Annotated[
        Path, Option("--rows", metavar="FILE", help="Rows to prove it on, with labels or without: CSV, JSON Lines, …")
    ],
    output: Annotated[Path, Option("--output", "-o", metavar="RUN", help="Folder for the run.")],
    task: Annotated[
        str | None, Option(metavar="TASK", autocompletion=tasks, help="What it is for. [default: as the model says]")
    ] = None,
    labels: Annotated[
        Path | None, Option("--labels", metavar="FILE", help="Names of its labels, one a line. [default: its own]")
    ] = None,
    text: Annotated[str | None, Option(metavar="COLUMN", help="Column of the text. [default: text]")] = None,
    text_pair: Annotated[str | None, Option(metavar="COLUMN", help="Column of a pair's second text.")] = None,
    label: Annotated[str | None, Option(metavar="COLUMN", help="Column of the label. [default: label, if any]")] = None,
    calibration_rows: Annotated[
        Path | None, Option(metavar="FILE", help="Rows for int8. [default: a fifth of --rows, which are not proven on]")
    ] = None,
    max_length: Annotated[int | None, Option(min=4, metavar="N", help="Tokens a text. [default: the model's]")] = None,
    revision: Annotated[str | None, Option(metavar="REVISION", help="The hub model's commit, branch or tag.")] = None,
    set_: Overrides = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace another run in that folder.")] = False,
) -> None:
    """Make a run of a model that was trained elsewhere.

    Takes models of transformers, sentence-transformers (CrossEncoder too), SetFit, and adapters of PEFT.
    """
    from trainer.imports.labels import read_labels

    data = {"train": str(rows), "text": text, "text_pair": text_pair, "label": label, "max_length": max_length}
    if calibration_rows:
        data |= {"train": str(calibration_rows), "test": str(rows)}
    mapping = {"task": task, "model": checkpoint, "model_revision": revision, "data": _given(data)}
    names = read_labels(labels) if labels else None
    from export.rehearsal import rehearse_checkpoint  # imports torch
    from trainer.imports.importer import import_checkpoint

    with _progress():
        run = import_checkpoint(
            _given(mapping), output, labels=names, overrides=set_ or [], overwrite=overwrite, console=log.console,
            check=rehearse_checkpoint,
        )  # fmt: skip
    _show_run(run)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
