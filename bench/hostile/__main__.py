"""The worst inputs: what one caller with one connection costs the others and the server, whatever it sends.

    python -m bench.hostile                       all of them; writes the table into docs/reliability.md with --write
    python -m bench.hostile --only generator      those whose model or name holds a word, beside the others of before

Each gets a server of its own on one core. Ordinary callers come at random, one in ten with a long text, and every
answer is compared. Rounds without and with the attack take turns; p99s are compared within a round, the median counts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.figures import STYLE
from bench.hostile.inputs import HOSTILE, Hostile
from bench.hostile.measure import MORE, MOST_MB, MOST_RATIO, STOP_SECONDS, Cost, Plan, measure
from bench.hostile.subject import MAKERS, Subject, prepare_one
from bench.page import table, wrapped, write_part
from deploy.measurement.process import MeasurementError
from serving.bundle.cpu import describe_machine

HOME = Path("build/hostile")
COSTS = HOME / "costs.json"
err = Console(stderr=True, width=160)
HEADINGS = ("input", "others' p99, ms", "ratio", "memory, MB", "exit, s", "held")


def main(
    only: Annotated[str, typer.Option(help="Inputs whose name or model holds this.")] = "",
    rounds: Annotated[int, typer.Option(min=1)] = Plan.rounds,
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each half of a round.")] = Plan.seconds,
    rate: Annotated[float, typer.Option(min=1, help="Ordinary requests a second.")] = Plan.rate,
    write: Annotated[bool, typer.Option(help="Write the table into docs/reliability.md.")] = False,
) -> None:
    """Print the table; exit with status 1 if an input costs more than is promised."""
    plan, costs = Plan(rounds, seconds, rate=rate), read_costs(COSTS)
    subjects = {name: prepare_one(name, HOME) for name in MAKERS}
    for hostile in HOSTILE:
        if only in hostile.name or only in hostile.model:
            costs[hostile.name] = cost = _measure(hostile, subjects[hostile.model], plan)
            err.print(*_cells(cost), cost.errors or "", sep="   ", markup=False, highlight=False)
            COSTS.write_text(json.dumps([asdict(each) for each in costs.values()], indent=1))
    _print([*costs.values()])
    if write:
        write_part("worst inputs", to_markdown([*costs.values()], plan))
    raise typer.Exit(0 if all(cost.held for cost in costs.values()) else 1)


def read_costs(path: Path) -> dict[str, Cost]:
    """Those measured before, of inputs that there still are."""
    found = [Cost(**each) for each in json.loads(path.read_text())] if path.exists() else []
    names = {hostile.name for hostile in HOSTILE}
    return {cost.name: cost for cost in found if cost.name in names}


def _measure(hostile: Hostile, subject: Subject, plan: Plan) -> Cost:
    """A server that fails is an input that is not held."""
    try:
        return measure(hostile, subject, plan, HOME / "logs")
    except MeasurementError as error:
        return Cost(hostile.name, [1.0], [float("inf")], errors={str(error): 1})


def to_markdown(costs: Sequence[Cost], plan: Plan) -> list[str]:
    answers, wrong = sum(cost.answers for cost in costs), sum(cost.wrong for cost in costs)
    held = sum(cost.held for cost in costs)
    most, seconds = MORE * plan.rounds, f"{plan.seconds:g} s"
    left, cpu = len(HOSTILE) - len(costs), describe_machine()["cpu"]
    head = (
        f"{held} of {len(costs)} held, {left} were not measured. On {date.today():%Y-%m-%d}, {cpu}, one core (load"
        f" average {os.getloadavg()[1]:.0f} on {os.cpu_count()} CPUs). {plan.rounds} round(s), up to {most} where the"
        f" ratio is high, of {seconds} without and {seconds} with each input; {answers:,} answers of ordinary callers"
        f" compared, {wrong} wrong."
    )
    return [*wrapped(head), "", *table(HEADINGS, map(_cells, sorted(costs, key=lambda cost: -cost.ratio)))]


def _cells(cost: Cost) -> tuple[str, ...]:
    spans = [f"{1000 * min(each):,.0f} – {1000 * max(each):,.0f}" for each in (cost.quiet, cost.attacked)]
    stop = f"{cost.stop:.1f}" if cost.stop < float("inf") else "never"
    held = "yes" if cost.held else "**no**"
    return cost.name, " → ".join(spans), f"{cost.ratio:.1f}", f"{cost.growth / 1e6:.0f}", stop, held


def _print(costs: Sequence[Cost]) -> None:
    title = f"promised: ratio ≤ {MOST_RATIO:g}, memory ≤ {MOST_MB:g} MB, exit ≤ {STOP_SECONDS:g} s"
    shown = Table(title=title, **STYLE | {"width": 120})
    for heading in HEADINGS:
        shown.add_column(heading)
    for cost in costs:
        shown.add_row(*_cells(cost))
    Console(width=120).print(shown)


if __name__ == "__main__":
    # On SIGTERM, Python would skip every `finally` and leave the servers running.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    typer.run(main)
