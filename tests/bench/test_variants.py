"""The figures of an automatic choice."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from bench import variants
from serving.bundle.bundle import Bundle
from trainer.run.run import Run


@pytest.mark.slow
def test_a_run_of_ones_own(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its choice is exported; speed, equal answers and changed ones stand beside what is asked."""
    monkeypatch.setattr(variants, "WORK", tmp_path)
    speed, equal, changed, size = variants.measure_variants(tiny_run.root, Console())
    bundle = Bundle.open(tmp_path / "auto" / tiny_run.root.name)
    assert bundle.manifest.graph.variant in speed.name
    assert speed.holds == (speed.value is not None and speed.value >= 2)
    assert (equal.unit, equal.holds, changed.value, changed.holds) == ("%", True, 0, True)
    assert size.value == len(bundle.read("model.onnx")) / 1e6
