"""The simulation is compared with a real server, load by load."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from bench.capacity import LOADS, Compared, measure_capacity
from bench.subject import Subject
from bench.throughput import LoadPlan
from trainer.run.run import Run


@pytest.mark.slow
def test_a_real_server(tiny_run: Run, tiny_bundle: Path, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """Each load has what was predicted, what was measured and the difference; every answer was right."""
    subject = Subject(tiny_run, {"fp32": tiny_bundle, "int8": tiny_int8_bundle})
    plan = LoadPlan(connections=4, rounds=1, seconds=2.0, warmup=0.2)
    figures = {each.name: each for each in measure_capacity(subject, plan, tmp_path, Console(quiet=True))}
    for load in ("4 connections", *(f"{load:.0%} load" for load in LOADS)):
        for what in ("p50", "p99", "answers"):
            name = f"capacity, tuneship serve, int8, {load}, {what}"
            predicted, measured = (figures[f"{name}: {kind}"].value for kind in ("predicted", "measured"))
            difference = figures[f"{name}: predicted ÷ measured − 1"].value
            assert predicted
            assert measured
            assert difference == pytest.approx(100 * (predicted / measured - 1))
        assert figures[f"capacity, tuneship serve, int8, {load}: refused, late or wrong"].correct == 0.0
    assert any("a replica holds" in name for name in figures)
    assert any("AWS Lambda costs less below" in name for name in figures)


def test_the_difference_is_told() -> None:
    """In percent of what was measured, with its sign; wrong answers are an error."""
    compared = Compared("50 % load", (0.010, 0.030, 90.0), (0.008, 0.040, 100.0), errors=2)
    by_name = {each.name.rpartition("load")[2]: each for each in compared.figures}
    assert by_name[", p50: predicted ÷ measured − 1"].value == pytest.approx(25)
    assert by_name[", p99: predicted ÷ measured − 1"].value == pytest.approx(-25)
    assert by_name[", answers: predicted ÷ measured − 1"].value == pytest.approx(-10)
    assert by_name[": refused, late or wrong"].is_error
