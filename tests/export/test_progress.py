"""What a long export reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.exporter import export_run
from serving.observability.progress import Progress, report_to
from trainer.run.run import Run


@pytest.mark.slow
def test_an_export_tells_every_step_and_part(tiny_run: Run, tmp_path: Path) -> None:
    """Every long part has as many units as it announced."""
    parts: dict[str, tuple[int, int]] = {}
    current, steps = [""], list[str]()

    class Recorder(Progress):
        def begin(self, step: str, seconds: float | None = None) -> None:
            steps.append(step)

        def expect(self, part: str, count: int, done: int = 0) -> None:
            current[0] = part
            parts[part] = (count, done)

        def advance(self, count: int) -> None:
            total, done = parts[current[0]]
            parts[current[0]] = total, done + count

    with report_to(Recorder()):
        export_run(tiny_run, tmp_path / "bundle")
    assert [step.split(",")[0].split(":")[0] for step in steps] == [
        "converting", "fp32", "writing the bundle and answering its golden rows…",
    ]  # fmt: skip
    assert {"the checkpoint's answers", "fp32's answers", "the tokenizer", "alone"} <= parts.keys()
    assert all(total == done for total, done in parts.values())
