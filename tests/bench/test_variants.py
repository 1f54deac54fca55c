"""The figures of the variant that is selected automatically."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from bench import variants
from serving.bundle.bundle import Bundle
from trainer.run.run import Run


@pytest.mark.slow
def test_a_run_of_ones_own(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The selected variant is exported and its speed, answers and size are measured."""
    monkeypatch.setattr(variants, "WORK", tmp_path)
    speed, equal, changed, size, duration = variants.measure_variants(tiny_run.root, Console())
    bundle = Bundle.open(tmp_path / "auto" / tiny_run.root.name)
    assert bundle.manifest.graph.variant in speed.name
    assert speed.value is not None
    assert speed.value > 0
    assert equal.unit == "%"
    assert equal.value is not None
    assert equal.value >= 99
    assert (changed.value, changed.is_error) == (0, False)
    assert duration.value
    assert "of CPU time" in duration.note
    assert size.value == len(bundle.read("model.onnx")) / 1e6
