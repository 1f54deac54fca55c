"""How often the proof's metric gate passes, by true drop and test rows: ``python -m bench.proof_gate``.

Prints the pass probability at a true drop of the budget, which must not exceed the level, and the power; writes the
operating curve to docs/proof-gate.svg.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binom  # type: ignore[import-untyped, unused-ignore]

from bench.figures import STYLE
from bench.proof_gate_figure import draw_figure
from bench.proof_populations import POPULATIONS, Population, with_drop
from export.proof.statistics.metric_change import LEVEL, ChangedAnswers, create_test
from export.proof.statistics.paired_shares import PairedCounts, p_value

BUDGET = 0.005
ROWS = (20, 50, 100, 150, 300, 736, 1821, 3080, 5000)
WON = (0.0, 0.0005, 0.002, 0.005, 0.01)
"""Shares of rows that only the served side answers rightly."""

UNLABELLED = (1000, 5000)
NEGLIGIBLE = 1e-9

DRAWS = 1000
FIRST_DRAWS = 200
"""A cell in which none of so many test sets passes is drawn no further."""

FIGURE_ROWS = (150, 736, 1821, 3080, 5000)
FIGURE = Path("docs/proof-gate.svg")


@dataclass(frozen=True)
class Cell:
    """``error``: the standard error of a simulated probability; 0 for an exact one."""

    population: str
    rows: int
    passes: float
    error: float

    @property
    def holds(self) -> bool:
        """Whether the level is within three standard errors."""
        return self.passes <= LEVEL + 3 * self.error


@dataclass(frozen=True)
class ExactGate:
    """The gate of accuracy, for a number of test rows."""

    rows: int
    level: float = LEVEL
    budget: float = BUDGET
    changed_share: float = 1.0

    def probability(self, lost: float, won: float) -> float:
        """To pass where these are the probabilities of a lost and a won row."""
        most_won = int(binom.isf(NEGLIGIBLE, self.rows, won)) if won else 0
        wins = np.arange(most_won + 1)
        most = np.array(most_lost(self, most_won))
        passing = np.where(most < 0, 0.0, binom.cdf(np.maximum(most, 0), self.rows - wins, lost / (1 - won)))
        return float((binom.pmf(wins, self.rows, won) * passing).sum())

    def passes(self, lost: int, won: int) -> bool:
        return p_value(PairedCounts(self.rows, lost, won), self.budget, self.changed_share) <= self.level


@cache
def most_lost(gate: ExactGate, most_won: int) -> list[int]:
    """By the number won: with how many lost rows the test passes; -1 for none."""
    found, lost = list[int](), -1
    for won in range(most_won + 1):
        while lost + 1 + won <= gate.rows and gate.passes(lost + 1, won):
            lost += 1
        found.append(min(lost, gate.rows - won))
    return found


def unlabelled_probability(rows: int, unlabelled: int, lost: float, won: float) -> float:
    """That accuracy passes on test rows and rows without labels, where no answer changes but to be lost or won."""
    changed = np.arange(int(binom.isf(NEGLIGIBLE, unlabelled, lost + won)) + 1)
    shares = [ChangedAnswers("", "", unlabelled, unlabelled, int(each)).share_limit(LEVEL / 2) for each in changed]
    passing = [ExactGate(rows, LEVEL / 2, changed_share=share).probability(lost, won) for share in shares]
    return float(binom.pmf(changed, unlabelled, lost + won) @ np.array(passing))


def simulated_probability(population: Population, rows: int, draws: int = DRAWS) -> tuple[float, float]:
    """That a test set of ``rows`` passes, and its standard error."""
    generator, passed = np.random.default_rng(rows), 0
    for number in range(1, draws + 1):
        counts = generator.multinomial(rows, population.shares).astype(np.float64)
        passed += create_test(population.metric, population.reference, population.served, counts).passes(LEVEL, BUDGET)
        if number == FIRST_DRAWS and not passed:
            break
    share = passed / number
    return share, float(np.sqrt(max(share, 1 / number) * (1 - share) / number))


def measure_level(rows: Sequence[int] = ROWS) -> list[Cell]:
    """At a true drop of exactly the budget."""
    exact = [
        Cell(f"accuracy, {won:.2%} won", each, ExactGate(each).probability(won + BUDGET, won), 0.0)
        for won in WON
        for each in rows
    ]
    unlabelled = [
        Cell(f"accuracy, {count:,} rows without labels, {won:.2%} won", each, probability, 0.0)
        for count in UNLABELLED
        for won in (0.0, 0.002)
        for each in rows
        for probability in (unlabelled_probability(each, count, won + BUDGET, won),)
    ]
    populations = {name: with_drop(make, BUDGET) for name, make in POPULATIONS.items()}
    return (
        exact
        + unlabelled
        + [
            Cell(name, each, *simulated_probability(population, each))
            for name, population in populations.items()
            for each in rows
        ]
    )


def measure_power(drop: float = 0.0, won: float = 0.002, rows: Sequence[int] = ROWS) -> list[Cell]:
    """Of accuracy at a true drop."""
    return [Cell(f"accuracy, {won:.2%} won", each, ExactGate(each).probability(won + drop, won), 0.0) for each in rows]


def cells_table(title: str, cells: Sequence[Cell]) -> Table:
    table = Table(title=title, **STYLE)
    table.add_column("population, rows")
    sizes = sorted({cell.rows for cell in cells})
    for size in sizes:
        table.add_column(f"{size:,}", justify="right", no_wrap=True)
    found = {(cell.population, cell.rows): cell for cell in cells}
    for name in dict.fromkeys(cell.population for cell in cells):
        table.add_row(name, *(f"{100 * found[name, size].passes:.1f}" for size in sizes))
    return table


def main() -> None:
    """Print the tables and write the figure; exit with status 1 if a cell exceeds the level."""
    console = Console(width=120)
    level, power = measure_level(), measure_power()
    error = 100 * max(cell.error for cell in level)
    title = f"passes at a true drop of {BUDGET:.1%}, in percent; at most {LEVEL:.1%} may (standard error ≤ {error:.2f})"
    console.print(cells_table(title, level))
    console.print(cells_table("passes at no true drop, as many rows lost as won, in percent", power))
    drops = np.linspace(0, 0.008, 33).tolist()
    gates = [ExactGate(rows) for rows in FIGURE_ROWS]
    draw_figure(
        {gate.rows: [gate.probability(0.002 + drop, 0.002) for drop in drops] for gate in gates}, drops, FIGURE, BUDGET
    )
    broken = [cell for cell in level if not cell.holds]
    for cell in broken:
        console.print(f"[red]error[/]  {cell.population}, {cell.rows:,} rows: {cell.passes:.2%}")
    raise SystemExit(1 if broken else 0)


if __name__ == "__main__":
    main()
