"""Figures and their tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

STYLE: dict[str, Any] = {"title_justify": "left", "box": SIMPLE_HEAD, "width": 80, "padding": (0, 1, 0, 0)}


@dataclass(frozen=True)
class Figure:
    """One measured number, the median of ``samples`` if there are several; None: not measured, see ``note``.

    ``correct``, if given, is the only value that is no error.
    """

    name: str
    value: float | None
    unit: str
    correct: float | None = None
    samples: tuple[float, ...] = ()
    note: str = ""
    failed: bool = False

    @property
    def is_error(self) -> bool:
        return self.failed or (self.correct is not None and self.value is not None and self.value != self.correct)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_error": self.is_error}


@dataclass(frozen=True)
class ServerFigures:
    """A server under load, an entry per round; onnxruntime alone has ``rate`` only.

    Seconds for ``ready_after``, ``p50`` and ``p99``; answers a second for ``rate``; bytes for ``memory``.
    """

    name: str
    ready_after: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)


def median_of(name: str, samples: Sequence[float], unit: str, note: str = "") -> Figure:
    return Figure(name, statistics.median(samples), unit, samples=tuple(samples), note=note)


def skipped(name: str, unit: str, reason: str) -> Figure:
    """A figure that this machine cannot measure."""
    return Figure(name, None, unit, note=f"skipped: {reason}")


def failed(name: str, reason: str) -> Figure:
    return Figure(name, None, "", note=f"failed: {reason}", failed=True)


def figures_table(figures: Sequence[Figure], machine: str) -> Table:
    table = Table(title=f"measured on {machine}", **STYLE)
    table.add_column("figure", ratio=3)
    table.add_column("measured (min-max)", ratio=2)
    for figure in figures:
        table.add_row(figure.name, f"[red]{format_figure(figure)}[/]" if figure.is_error else format_figure(figure))
    return table


def servers_table(servers: Sequence[ServerFigures]) -> Table:
    table = Table(title="servers under load, medians over the rounds", **STYLE)
    table.add_column("server", ratio=1)
    for column in ("ready s", "answers/s", "p50 ms", "p99 ms", "MB", "errors"):
        table.add_column(column, justify="right")
    for server in servers:
        table.add_row(
            server.name,
            _median(server.ready_after, 1, ".1f"),
            f"{_median(server.rate)}\n{min(server.rate):,.0f}-{max(server.rate):,.0f}",
            _median(server.p50, 1000),
            _median(server.p99, 1000),
            _median(server.memory, 1e-6),
            f"{sum(server.errors.values()):,}",
        )
    return table


def _median(samples: Sequence[float], scale: float = 1, form: str = ",.0f") -> str:
    return format(statistics.median(samples) * scale, form) if samples else "–"


def format_figure(figure: Figure) -> str:
    if figure.value is None:
        return figure.note
    low, high = _format_number(min(figure.samples, default=0)), _format_number(max(figure.samples, default=0))
    spread = f" ({low}-{high})" if len(figure.samples) > 1 else ""
    return f"{_format_number(figure.value)} {figure.unit}{spread}"


def _format_number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.2f}"
