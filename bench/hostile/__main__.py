"""The worst inputs: what one caller with one connection costs the others and the server, whatever it sends.

    python -m bench.hostile                       all of them; writes the table into docs/reliability.md with --write
    python -m bench.hostile --only generation     those whose model or name holds a word

Each gets a server of its own on one core. Ordinary callers come at random, one in ten with a long text, and every
answer is compared. Rounds without and with the attack take turns; p99s are compared within a round, the median counts.
"""

from __future__ import annotations

import json
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
from bench.hostile.inputs import HOSTILE
from bench.hostile.measure import MORE, MOST_MB, MOST_RATIO, STOP_SECONDS, Cost, Plan, measure
from bench.hostile.subject import MAKERS, prepare_one
from bench.page import table, wrapped, write_part
from bench.process import MeasurementError
from serving.bundle.cpu import describe_machine

HOME = Path("build/hostile")
HEADINGS = ("input", "others' p99, ms", "ratio", "memory, MB", "exit, s", "held")


def main(
    only: Annotated[str, typer.Option(help="Inputs whose name or model holds this.")] = "",
    rounds: Annotated[int, typer.Option(min=1)] = Plan.rounds,
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each half of a round.")] = Plan.seconds,
    rate: Annotated[float, typer.Option(min=1, help="Ordinary requests a second.")] = Plan.rate,
    write: Annotated[bool, typer.Option(help="Write the table into docs/reliability.md.")] = False,
) -> None:
    """Print the table; exit with status 1 if an input costs more than is promised."""
    plan = Plan(rounds, seconds, rate=rate)
    subjects = {name: prepare_one(name, HOME) for name in MAKERS}
    costs, console = list[Cost](), Console(stderr=True, width=160)
    for hostile in HOSTILE:
        if only in hostile.name or only in hostile.model:
            try:
                cost = measure(hostile, subjects[hostile.model], plan, HOME / "logs")
            except MeasurementError as error:
                cost = Cost(hostile.name, [1.0], [float("inf")], errors={str(error): 1})
            costs.append(cost)
            console.print(*_cells(cost), cost.errors or "", sep="   ", markup=False, highlight=False)
    (HOME / "costs.json").write_text(json.dumps([asdict(cost) for cost in costs], indent=1))
    _print(costs)
    if write:
        write_part("worst inputs", to_markdown(costs, plan))
    raise typer.Exit(0 if all(cost.held for cost in costs) else 1)


def to_markdown(costs: Sequence[Cost], plan: Plan) -> list[str]:
    answers, wrong = sum(cost.answers for cost in costs), sum(cost.wrong for cost in costs)
    held = sum(cost.held for cost in costs)
    most, seconds = MORE * plan.rounds, f"{plan.seconds:g} s"
    head = (
        f"{held} of {len(costs)} held, on {date.today():%Y-%m-%d}, {describe_machine()['cpu']}, one core."
        f" {plan.rounds} rounds, or up to {most} where the ratio is high, of {seconds} without and {seconds} with each"
        f" input; {answers:,} answers of ordinary callers compared, {wrong} wrong."
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
