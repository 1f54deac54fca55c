"""A long export in a terminal of 80 columns, and in a log."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from export import console as terminal
from export.console import TerminalProgress, show_progress
from export.exporter import export_run
from export.proof.answers.progress import begin_step, track
from trainer.run.run import Run


def test_a_log_has_a_line_for_each_step() -> None:
    """No bars and no control characters."""
    text = io.StringIO()
    with show_progress(Console(file=text, width=20)):
        begin_step("variant 1 of 2: [converting] and a long line")
        assert list(track("rows", [1, 2], 2)) == [1, 2]
        begin_step("writing")
    assert text.getvalue() == "variant 1 of 2: [converting] and a long line\nwriting\n"


def test_a_terminal_shows_the_step_the_share_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines within 80 columns; a part's units count by their size."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    progress = TerminalProgress(console)
    progress.begin("variant 2 of 6, int8: converting, timing, judging…")
    progress.expect("mixed with 15 others of any length, seed 0, and a very long name", 200)
    clock = iter(range(100))
    progress.bar.get_time = lambda: float(next(clock))
    for count in (50, 30, 20):
        progress.advance(count)
    console.print(progress)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    plain = Console(file=io.StringIO(), width=80)
    plain.print(progress)
    shown = plain.file.getvalue()  # type: ignore[attr-defined]
    assert lines
    assert max(map(len, shown.splitlines())) <= 80
    assert "int8: converting" in shown
    assert "50 %" in shown
    assert ":" in shown.split("50 %")[1]


@pytest.mark.slow
def test_an_export_tells_every_step_and_part(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every long part has as many units as it announced."""
    parts: dict[str, tuple[int, int]] = {}
    current = [""]

    class Recorder(terminal.LineProgress):
        def expect(self, part: str, count: int) -> None:
            current[0] = part
            parts[part] = (count, 0)

        def advance(self, count: int) -> None:
            total, done = parts[current[0]]
            parts[current[0]] = total, done + count

    monkeypatch.setattr(terminal, "LineProgress", Recorder)
    text = io.StringIO()
    with show_progress(Console(file=text, width=80)):
        export_run(tiny_run, tmp_path / "bundle")
    assert [line.split(",")[0].split(":")[0] for line in text.getvalue().splitlines()] == [
        "converting", "fp32", "writing the bundle and answering its golden rows…",
    ]  # fmt: skip
    assert {"the checkpoint's answers", "fp32's answers", "the tokenizer", "alone"} <= parts.keys()
    assert all(total == done for total, done in parts.values())
