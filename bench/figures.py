"""A figure: what was measured, beside what was asked; and how both are written in a table and in JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

STYLE: dict[str, Any] = {"title_justify": "left", "box": SIMPLE_HEAD, "width": 80, "padding": (0, 1, 0, 0)}
VERDICTS = {True: "[green]holds[/]", False: "[red]misses[/]", None: ""}


@dataclass(frozen=True)
class Asked:
    """A bound that a figure must keep."""

    relation: Literal["≤", "≥"]
    value: float

    def holds(self, measured: float) -> bool:
        """Whether the figure keeps the bound."""
        return measured <= self.value if self.relation == "≤" else measured >= self.value


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        value: the median of ``samples`` where there are several; None where nothing could be measured.
        unit: of ``value``, ``asked`` and ``samples``.
        samples: the single measurements, in the order in which they were made.
        note: how it was measured or, without a value, why it was not.
        failed: there is no value although there should be one.
    """

    name: str
    value: float | None
    unit: str
    asked: Asked | None = None
    samples: tuple[float, ...] = ()
    note: str = ""
    failed: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the bound is kept; None where there is no bound, or no value that it could be held against."""
        if self.failed:
            return False
        return None if self.asked is None or self.value is None else self.asked.holds(self.value)

    def to_json(self) -> dict[str, Any]:
        """Every field and the verdict."""
        return asdict(self) | {"holds": self.holds}


@dataclass(frozen=True)
class ServerFigures:
    """What one server did under load, one entry a round in each list; of the bare runtime, ``rate`` alone.

    Units: seconds for ``ready_after``, ``p50`` and ``p99``; answers a second for ``rate``; bytes for ``memory``.
    """

    name: str
    ready_after: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)


def median_of(name: str, samples: Sequence[float], unit: str, asked: Asked | None = None, note: str = "") -> Figure:
    """The figure of several measurements: their median."""
    return Figure(name, statistics.median(samples), unit, asked, tuple(samples), note)


def skipped(name: str, unit: str, asked: Asked | None, reason: str) -> Figure:
    """A figure that cannot be measured here, which is nobody's fault."""
    return Figure(name, None, unit, asked, note=f"skipped: {reason}")


def failed(name: str, reason: str) -> Figure:
    """A figure that should have been measured and was not."""
    return Figure(name, None, "", note=f"failed: {reason}", failed=True)


def figures_table(figures: Sequence[Figure]) -> Table:
    """Measured beside asked, a row a figure."""
    table = Table(title="measured, beside what was asked", **STYLE)
    table.add_column("figure", ratio=3)
    table.add_column("measured (min-max)", ratio=2)
    table.add_column("asked", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in figures:
        table.add_row(figure.name, _measured(figure), _asked(figure), VERDICTS[figure.holds])
    return table


def servers_table(servers: Sequence[ServerFigures]) -> Table:
    """One row a server: medians over the rounds, under them the range of the rates."""
    table = Table(title="servers under load, medians over the rounds", **STYLE)
    table.add_column("server", ratio=1)
    for column in ("ready s", "answers/s", "p50 ms", "p99 ms", "MB", "errors"):
        table.add_column(column, justify="right")
    for server in servers:
        table.add_row(*_server_cells(server))
    return table


def _server_cells(server: ServerFigures) -> list[str]:
    return [
        server.name,
        _middle(server.ready_after, 1, ".1f"),
        f"{_middle(server.rate)}\n{min(server.rate):,.0f}-{max(server.rate):,.0f}",
        _middle(server.p50, 1000),
        _middle(server.p99, 1000),
        _middle(server.memory, 1e-6),
        f"{sum(server.errors.values()):,}",
    ]


def _middle(samples: Sequence[float], scale: float = 1, form: str = ",.0f") -> str:
    return format(statistics.median(samples) * scale, form) if samples else "–"


def _measured(figure: Figure) -> str:
    if figure.value is None:
        return figure.note
    low, high = _number(min(figure.samples, default=0)), _number(max(figure.samples, default=0))
    spread = f" ({low}-{high})" if len(figure.samples) > 1 else ""
    return f"{_number(figure.value)} {figure.unit}{spread}"


def _asked(figure: Figure) -> str:
    return f"{figure.asked.relation} {figure.asked.value:g} {figure.unit}" if figure.asked else ""


def _number(value: float) -> str:
    """As many digits as a noisy machine can tell apart."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2f}"
