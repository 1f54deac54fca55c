"""The benchmark command, ``python -m bench [SECTION]`` or `make bench`."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from bench.accuracy import measure_accuracy, measure_size
from bench.batch import measure_batch
from bench.batching import measure_batching
from bench.capacity import measure_capacity
from bench.coldstart import measure_coldstart
from bench.distil import measure_distil
from bench.figures import Figure, ServerFigures, failed, figures_table, servers_table
from bench.image import measure_image
from bench.latency import measure_latency
from bench.lengths import measure_lengths
from bench.memory import measure_memory
from bench.overload import measure_overload
from bench.privacy import measure_privacy
from bench.results import write_results
from bench.scale import measure_scale
from bench.startup import measure_startup
from bench.streaming import measure_streaming
from bench.subject import WORK, Subject, prepare
from bench.tasks import TaskFigures, measure_tasks, tasks_table
from bench.throughput import LoadPlan, measure_serving
from bench.training import measure_training
from bench.variants import measure_variants
from deploy.measurement.process import MeasurementError
from serving.bundle.cpu import describe_machine
from serving.errors import UserError

RESULTS = Path("build/bench.json")
out = Console()
err = Console(stderr=True)


Section = StrEnum(
    "Section",
    [
        "tasks", "checks", "variants", "distil", "privacy", "accuracy", "size", "startup", "coldstart", "image",
        "batching", "serving", "lengths", "latency", "capacity", "overload", "memory", "scale", "training",
        "streaming", "batch", "all",
    ],
)  # fmt: skip


@dataclass
class Bench:
    run: Path | None
    bundles: Path | None
    plan: LoadPlan
    repeats: int
    requests: int = 100_000
    overload: float = 60.0
    large: bool = False
    quick: bool = False
    figures: list[Figure] = field(default_factory=list)
    servers: list[ServerFigures] = field(default_factory=list)
    tasks: list[TaskFigures] = field(default_factory=list)

    @cached_property
    def subject(self) -> Subject:
        return prepare(self.run, self.bundles, err)

    def measure(self, section: Section) -> None:
        """A failure is a failed figure; the other sections go on."""
        try:
            self.figures += self._measurements[section]()
        except MeasurementError as error:
            err.print(f"[red]{section}[/]  {escape(str(error))}", soft_wrap=True, highlight=False)
            self.figures.append(failed(section, str(error).splitlines()[0]))

    @property
    def errors(self) -> list[Figure]:
        return [figure for figure in self.figures if figure.is_error]

    def about(self) -> dict[str, Any]:
        """What was measured and how."""
        settings = {
            "repeats": self.repeats,
            "plan": {name: value for name, value in asdict(self.plan).items() if value != math.inf},
            "requests": self.requests,
            "overload": self.overload,
        }
        if "subject" not in self.__dict__:
            return settings
        return settings | {"run": str(self.subject.run.root), "bundles": self.subject.digests()}

    @property
    def _measurements(self) -> dict[Section, Callable[[], list[Figure]]]:
        logs = WORK / "logs"
        return {
            Section.tasks: self._measure_tasks,
            Section.checks: self._measure_checks,
            Section.variants: lambda: measure_variants(self.run, err),
            Section.distil: lambda: measure_distil(self.run, err),
            Section.privacy: lambda: measure_privacy(self.quick, err),
            Section.accuracy: lambda: measure_accuracy(self.subject),
            Section.size: lambda: measure_size(self.subject),
            Section.startup: lambda: measure_startup(self.subject, self.repeats, logs),
            Section.coldstart: lambda: measure_coldstart(self.subject, self.repeats, logs),
            Section.image: lambda: measure_image(self.repeats, logs),
            Section.batching: lambda: measure_batching(self.subject, self.repeats),
            Section.serving: lambda: self._add_servers(measure_serving(self.subject, self.plan, logs, err)),
            Section.lengths: lambda: self._add_servers(measure_lengths(self.subject, self.plan, logs, err)),
            Section.latency: lambda: measure_latency(self.subject, self.plan, logs, err),
            Section.capacity: lambda: measure_capacity(self.subject, self.plan, logs, err),
            Section.overload: lambda: measure_overload(self.subject, self.plan, self.overload, logs, err),
            Section.memory: lambda: measure_memory(self.subject, self.plan, self.requests, logs, err),
            Section.scale: lambda: measure_scale(self.large),
            Section.training: lambda: measure_training(self.quick, logs),
            Section.streaming: lambda: measure_streaming(logs),
            Section.batch: lambda: measure_batch(
                self.subject.bundles["int8"], self.subject.texts, logs, quick=self.quick
            ),
        }

    def _measure_checks(self) -> list[Figure]:
        from bench.checks import measure_checks  # imports torch

        return measure_checks(err)

    def _measure_tasks(self) -> list[Figure]:
        self.tasks = measure_tasks(err)
        return [figure for task in self.tasks for figure in task.figures]

    def _add_servers(self, measured: tuple[list[Figure], list[ServerFigures]]) -> list[Figure]:
        figures, servers = measured
        self.servers += servers
        return figures


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    section: Annotated[Section, typer.Argument(metavar="SECTION", help="What to measure.")] = Section.all,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A finished run.", show_default="train recipes/banking77.yaml"),
    ] = None,
    bundles: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The run's bundles, DIR/fp32 and DIR/int8.", show_default="export them"),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File for the results, in JSON.")
    ] = RESULTS,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of load for each server.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds of load in a round.")] = 6.0,
    warmup: Annotated[float, typer.Option(min=0.1, help="Seconds of warm-up before each round.")] = 2.0,
    connections: Annotated[int, typer.Option(min=1, help="Keep-alive connections.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Repeats of each start.")] = 5,
    requests: Annotated[int, typer.Option(min=10, help="Requests while memory is measured.")] = 100_000,
    overload: Annotated[float, typer.Option(min=0.1, help="Seconds of overload.")] = 60.0,
    large: Annotated[bool, typer.Option("--large", help="For scale, XLM-R-large's size too: 7 GB, minutes.")] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="For training, 300 of Trainer's 1,878 steps; for privacy, the classifier alone; for batch, a tenth.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the order of the texts.")] = 0,
) -> None:
    """Measure; exit with status 1 if an answer is wrong or a measurement fails."""
    plan = LoadPlan(connections, rounds, seconds, warmup, seed)
    bench = Bench(run, bundles, plan, repeats, requests, overload, large, quick)
    for each in sections_of(section):
        bench.measure(each)
    write_results(output, bench.figures, bench.servers, bench.about())
    _print(bench, output)
    raise typer.Exit(1 if bench.errors else 0)


def sections_of(section: Section) -> list[Section]:
    return [each for each in Section if each is not Section.all] if section is Section.all else [section]


def _print(bench: Bench, output: Path) -> None:
    if bench.servers:
        out.print(servers_table(bench.servers))
    if bench.tasks:
        out.print(tasks_table(bench.tasks))
    out.print(figures_table(bench.figures, describe_machine()["cpu"]))
    for figure in bench.errors:
        out.print(f"[red]error[/]  {escape(figure.name)}  {escape(figure.note)}", soft_wrap=True, highlight=False)
    out.print(f"results  {escape(str(output))}", soft_wrap=True)


if __name__ == "__main__":
    # On SIGTERM, Python would skip every `finally` and leave the servers running.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app()
    except UserError as error:
        err.print(f"[red]error[/]  {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(1)
