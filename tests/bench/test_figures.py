"""Figures know whether they show an error, and fit the tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from bench.figures import Figure, ServerFigures, failed, figures_table, median_of, servers_table, skipped


def shown(table: Table) -> list[str]:
    """The table's lines as an 80-column terminal shows them."""
    console = Console(file=io.StringIO(), width=80)
    console.print(table)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("correct", "value", "is_error"), [(0.0, 0.0, False), (0.0, 1.0, True), (None, 1.0, False), (0.0, None, False)]
)
def test_errors(correct: float | None, value: float | None, is_error: bool) -> None:
    """A value is an error if there is one correct value and it is another."""
    assert Figure("x", value, "s", correct).is_error is is_error


def test_a_skipped_figure_is_no_error() -> None:
    """What cannot be measured on this machine says why."""
    figure = skipped("image", "MB", "no Docker engine answers")
    assert not figure.is_error
    words = " ".join(shown(figures_table([figure], "a CPU"))).split()
    assert {"skipped:", "no", "Docker", "engine", "answers"} <= set(words)


def test_a_failed_figure_is_an_error() -> None:
    """A failed measurement is an error."""
    assert failed("serving", "bentoml ended with status 1").is_error


def test_median_of() -> None:
    """Several measurements give their median and are kept in order."""
    figure = median_of("ready", [2.0, 9.0, 1.0], "s")
    assert figure.value == 2.0
    assert figure.samples == (2.0, 9.0, 1.0)


def test_figures_table() -> None:
    """A row has the figure and the measured value with its range; the title has the machine; it fits 80 columns."""
    figures = [median_of("ready", [2.0, 3.5, 1.25], "s"), Figure("accuracy", 93.254, "%")]
    lines = shown(figures_table(figures, "an AMD EPYC"))
    assert any("an AMD EPYC" in line for line in lines)
    assert any(line.split() == ["ready", "2", "s", "(1.25-3.50)"] for line in lines)
    assert any(line.split() == ["accuracy", "93.25", "%"] for line in lines)
    assert max(map(len, lines)) <= 80


def test_servers_table() -> None:
    """A row has medians in the header's units and the range of the rates; the longest name of a peer fits."""
    server = ServerFigures(
        "BentoML + transformers",
        ready_after=[8.4, 8.0, 9.0],
        rate=[100.0, 90.0, 1_110.0],
        p50=[0.3, 0.31, 0.29],
        p99=[0.8, 0.9, 1.266],
        memory=[1.018e9],
        errors={"wrong label": 2, "status 503": 1},
    )
    text = "\n".join(lines := shown(servers_table([server])))
    for cell in ("BentoML + transformers", " 8.4 ", " 90-1,110 ", " 300 ", " 900 ", " 1,018 ", " 3 "):
        assert cell in text
    assert max(map(len, lines)) <= 80


def test_json() -> None:
    """A figure's JSON has every field, and whether it is an error."""
    content = median_of("ready", [2.0, 4.0], "s").to_json()
    assert content["samples"] == (2.0, 4.0)
    assert content["is_error"] is False
