"""The figures of streamed trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import streaming


@pytest.mark.slow
def test_two_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are trained, and what a row more takes is told."""
    monkeypatch.setattr(streaming, "STEPS", 4)
    monkeypatch.setattr(streaming, "HELD_OUT", 100)
    first, memory, less, more, pace = streaming.measure_streaming(tmp_path, (1000, 2000))
    assert all(figure.value is not None for figure in (first, memory, less, more, pace))
    assert memory.value > 50
    assert pace.value > 0
