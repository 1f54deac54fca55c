"""The figures of files of texts."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from bench import batch
from bench.figures import Figure


def test_ratios() -> None:
    """Two workers are held to twice one process, round by round."""
    alone = [batch.Pace(100, 50, 1), batch.Pace(200, 50, 1), batch.Pace(100, 50, 1)]
    fast = [batch.Pace(190, 50, 1), batch.Pace(380, 45, 1), batch.Pace(100, 50, 1)]
    wall, cpu, pace = batch._figures(alone, fast)
    assert (wall.value, wall.failed, cpu.value, pace.value) == (0.95, False, 1.0, 100)
    slow = [batch.Pace(150, 50, 1)] * 3
    assert next(batch._figures(alone, slow)).failed


def test_answers_that_differ(tmp_path: Path) -> None:
    """A rate of wrong answers is none."""
    for name, content in {"a": "1", "b": "2"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "part-00000.jsonl").write_text(content)
    with pytest.raises(batch.MeasurementError, match="the parts of a and of b differ"):
        batch._require_equal(tmp_path / "a", tmp_path / "b")


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures stand between the marks of docs/benchmarks.md."""
    page = tmp_path / "page.md"
    page.write_text(batch.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(batch, "PAGE", page)
    batch.write_figures([Figure("a figure", 0.95, "×", samples=(0.9, 1.0))], "as measured")
    assert (
        "as measured\n\n| figure | measured |\n| --- | --- |\n| a figure | 0.95 × (0.90-1) |\n<!-- end -->"
        in page.read_text()
    )


@pytest.mark.slow
def test_memory(tmp_path: Path) -> None:
    """The peaks of few rows and of more are told."""
    few, more, ratio = batch.measure_memory(tmp_path, (2_000, 20_000))
    assert few.value is not None
    assert more.value is not None
    assert 20 < few.value < 2_000
    assert ratio.value == pytest.approx(more.value / few.value)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'tuneship[ray]'")
@pytest.mark.xdist_group("ray")
def test_pace(tiny_bundle: Path, tmp_path: Path) -> None:
    """Both engines are run, and their answers are equal."""
    wall, cpu, pace = batch.measure_pace(tiny_bundle, ["where is it?", "stop it"], tmp_path, rows=3_000, rounds=1)
    assert all(figure.value is not None and figure.value > 0 for figure in (wall, cpu, pace))
