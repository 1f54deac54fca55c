"""A figure knows whether it reaches what was asked, and the tables show both side by side."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from bench.figures import Asked, Figure, ServerFigures, failed, figures_table, median_of, servers_table, skipped

AT_MOST, AT_LEAST = Asked("≤", 3.0), Asked("≥", 93.2)


def shown(table: Table) -> list[str]:
    """The table's lines as an 80-column terminal shows them."""
    console = Console(file=io.StringIO(), width=80)
    console.print(table)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "value", "holds"),
    [(AT_MOST, 3.0, True), (AT_MOST, 3.01, False), (AT_LEAST, 93.2, True), (AT_LEAST, 93.19, False), (None, 1.0, None)],
)
def test_verdict(asked: Asked | None, value: float, holds: bool | None) -> None:
    """The bound itself is kept; without a bound there is no verdict."""
    assert Figure("x", value, "s", asked).holds is holds


def test_a_skipped_figure_misses_nothing() -> None:
    """What cannot be measured here has no verdict and says why."""
    figure = skipped("image", "MB", AT_MOST, "no Docker engine answers")
    assert figure.holds is None
    words = " ".join(shown(figures_table([figure]))).split()
    assert {"skipped:", "no", "Docker", "engine", "answers"} <= set(words)


def test_a_failed_figure_misses() -> None:
    """What should have been measured and was not counts as missed."""
    assert failed("serving", "bentoml ended with status 1").holds is False


def test_median_of() -> None:
    """Several measurements give their median and are kept in order."""
    figure = median_of("ready", [2.0, 9.0, 1.0], "s", AT_MOST)
    assert figure.value == 2.0
    assert figure.samples == (2.0, 9.0, 1.0)
    assert figure.holds is True


def test_figures_table() -> None:
    """A row has the figure, the measured value with its range, what was asked, and the verdict, in 80 columns."""
    lines = shown(figures_table([median_of("ready", [2.0, 3.5, 1.25], "s", AT_MOST), Figure("accuracy", 93.254, "%")]))
    assert any(line.split() == ["ready", "2", "s", "(1.25-3.50)", "≤", "3", "s", "holds"] for line in lines)
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


def test_json_has_the_verdict() -> None:
    """A figure's JSON has every field, what was asked among them, and the verdict."""
    content = median_of("ready", [2.0, 4.0], "s", AT_MOST).to_json()
    assert content["asked"] == {"relation": "≤", "value": 3.0}
    assert content["samples"] == (2.0, 4.0)
    assert content["holds"] is True
