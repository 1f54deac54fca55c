"""The benchmark command, ``python -m bench [SECTION]`` or `make bench`: each figure beside what was asked."""

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
from bench.batching import measure_batching
from bench.errors import MeasurementError
from bench.figures import Figure, ServerFigures, failed, figures_table, servers_table
from bench.image import measure_image
from bench.lambda_start import measure_lambda
from bench.latency import measure_latency
from bench.lengths import measure_lengths
from bench.memory import measure_memory
from bench.overload import measure_overload
from bench.results import write_results
from bench.startup import measure_startup
from bench.subject import WORK, Subject, prepare
from bench.tasks import TaskFigures, measure_tasks, tasks_table
from bench.throughput import Plan, measure_serving
from bench.variants import measure_variants
from serving.errors import UserError

RESULTS = Path("build/bench.json")
out = Console()
err = Console(stderr=True)


class Section(StrEnum):
    """What can be measured."""

    tasks = "tasks"
    variants = "variants"
    accuracy = "accuracy"
    size = "size"
    startup = "startup"
    lambda_ = "lambda"
    image = "image"
    batching = "batching"
    serving = "serving"
    lengths = "lengths"
    latency = "latency"
    overload = "overload"
    memory = "memory"
    all = "all"


@dataclass
class Bench:
    """One call of the command: its options, and the figures so far."""

    run: Path | None
    bundles: Path | None
    plan: Plan
    repeats: int
    requests: int = 100_000
    overload: float = 60.0
    figures: list[Figure] = field(default_factory=list)
    servers: list[ServerFigures] = field(default_factory=list)
    tasks: list[TaskFigures] = field(default_factory=list)

    @cached_property
    def subject(self) -> Subject:
        """Made when a section first needs it."""
        return prepare(self.run, self.bundles, err)

    def measure(self, section: Section) -> None:
        """Add a section's figures; one that cannot be measured is a failed figure and stops no other."""
        try:
            self.figures += self._measures[section]()
        except MeasurementError as error:
            err.print(f"[red]{section}[/]  {escape(str(error))}", soft_wrap=True, highlight=False)
            self.figures.append(failed(section, str(error).splitlines()[0]))

    @property
    def missed(self) -> list[Figure]:
        """The figures that do not reach what was asked, or could not be measured though they should."""
        return [figure for figure in self.figures if figure.holds is False]

    def about(self) -> dict[str, Any]:
        """What was measured and how, for the results file."""
        facts = {
            "repeats": self.repeats,
            "plan": {name: value for name, value in asdict(self.plan).items() if value != math.inf},
            "requests": self.requests,
            "overload": self.overload,
        }
        if "subject" not in self.__dict__:
            return facts
        return facts | {"run": str(self.subject.run.root), "bundles": self.subject.digests()}

    @property
    def _measures(self) -> dict[Section, Callable[[], list[Figure]]]:
        logs = WORK / "logs"
        return {
            Section.tasks: self._tasks,
            Section.variants: lambda: measure_variants(self.run, err),
            Section.accuracy: lambda: measure_accuracy(self.subject),
            Section.size: lambda: measure_size(self.subject),
            Section.startup: lambda: measure_startup(self.subject, self.repeats, logs),
            Section.lambda_: lambda: measure_lambda(self.subject, self.repeats, logs),
            Section.image: lambda: measure_image(self.repeats, logs),
            Section.batching: lambda: measure_batching(self.subject, self.repeats),
            Section.serving: lambda: self._servers(measure_serving(self.subject, self.plan, logs, err)),
            Section.lengths: lambda: self._servers(measure_lengths(self.subject, self.plan, logs, err)),
            Section.latency: lambda: measure_latency(self.subject, self.plan, logs, err),
            Section.overload: lambda: measure_overload(self.subject, self.plan, self.overload, logs, err),
            Section.memory: lambda: measure_memory(self.subject, self.plan, self.requests, logs, err),
        }

    def _tasks(self) -> list[Figure]:
        self.tasks = measure_tasks(err)
        return [figure for task in self.tasks for figure in task.figures]

    def _servers(self, measured: tuple[list[Figure], list[ServerFigures]]) -> list[Figure]:
        figures, servers = measured
        self.servers += servers
        return figures


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    section: Annotated[Section, typer.Argument(metavar="SECTION", help="What to measure.")] = Section.all,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A finished run.", show_default="train recipes/banking77.yaml"),
    ] = None,
    bundles: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Its bundles, DIR/fp32 and DIR/int8.", show_default="export them"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The results, JSON.")] = RESULTS,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of load each server gets.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a round.")] = 6.0,
    warmup: Annotated[float, typer.Option(min=0.1, help="Load before each round that is not counted.")] = 2.0,
    connections: Annotated[int, typer.Option(min=1, help="Keep-alive connections of the load.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, help="How often each start is timed.")] = 5,
    requests: Annotated[int, typer.Option(min=10, help="Requests that memory is watched over.")] = 100_000,
    overload: Annotated[float, typer.Option(min=0.1, help="Seconds of overload.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Orders the queries.")] = 0,
) -> None:
    """Measure; exit status 1 if a figure misses what was asked."""
    bench = Bench(run, bundles, Plan(connections, rounds, seconds, warmup, seed), repeats, requests, overload)
    for each in sections_of(section):
        bench.measure(each)
    write_results(output, bench.figures, bench.servers, bench.about())
    _show(bench, output)
    raise typer.Exit(1 if bench.missed else 0)


def sections_of(section: Section) -> list[Section]:
    """The sections that a name stands for."""
    return [each for each in Section if each is not Section.all] if section is Section.all else [section]


def _show(bench: Bench, output: Path) -> None:
    if bench.servers:
        out.print(servers_table(bench.servers))
    if bench.tasks:
        out.print(tasks_table(bench.tasks))
    out.print(figures_table(bench.figures))
    for figure in bench.missed:
        out.print(f"[red]missed[/]  {escape(figure.name)}  {escape(figure.note)}", soft_wrap=True, highlight=False)
    out.print(f"results  {escape(str(output))}", soft_wrap=True)


if __name__ == "__main__":
    # Ended by a signal, Python would skip every `finally`, and leave the servers under test behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app()
    except UserError as error:
        err.print(f"[red]error[/]  {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(1)
