"""Progress in a terminal of 80 columns, and in a log."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from rich.console import Console

from serving.observability import progress_bars as module
from serving.observability.progress import begin_step, open_part, track
from serving.observability.progress_bars import Bars, Lines, format_seconds, show_progress


def test_a_log_has_a_line_for_each_step() -> None:
    """No bars and no control characters."""
    text = io.StringIO()
    with show_progress(Console(file=text, width=20)):
        begin_step("variant 1 of 2: [converting] and a long line")
        assert list(track("rows", [1, 2], 2)) == [1, 2]
        begin_step("writing", 90)
    assert text.getvalue() == "variant 1 of 2: [converting] and a long line\nwriting (1:30 at most)\n"


def test_a_log_tells_now_and_then_how_far_a_long_part_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 10 seconds a line with the share and the time left; the pauses grow with the time spent."""
    now, text = [0.0], io.StringIO()
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    lines = Lines(Console(file=text, width=80))
    lines.expect("rows", 1000)
    for _ in range(100):
        now[0] += 2.0
        lines.advance(10)
    shown = text.getvalue().splitlines()
    assert shown[0] == "  rows  5%, 3:10 left"
    shares = [float(line.split()[1].rstrip("%,")) for line in shown]
    pauses = [after - before for before, after in pairwise(shares)]
    assert 5 < len(shown) < 15
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]


def test_what_was_done_before_does_not_flatter_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed part's time left is that of the rows of this command."""
    now, text = [0.0], io.StringIO()
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    lines = Lines(Console(file=text, width=80))
    lines.expect("rows", 1000, 900)
    now[0] = 20.0
    lines.advance(50)
    assert text.getvalue() == "  rows  95%, 0:20 left\n"


def test_a_terminal_shows_the_step_the_share_and_the_time_left() -> None:
    """Two lines within 80 columns; a part's units count by their size."""
    bars = Bars(Console(file=io.StringIO(), width=80, force_terminal=True))
    bars.begin("variant 2 of 6, int8: converting, timing, judging…")
    bars.expect("mixed with 15 others of any length, seed 0, and a very long name", 200)
    clock = iter(range(100))
    bars.bar.get_time = lambda: float(next(clock))
    for count in (50, 30, 20):
        bars.advance(count)
    shown = render(bars)
    assert max(map(len, shown.splitlines())) <= 80
    assert "int8: converting" in shown
    assert "50 %" in shown
    assert ":" in shown.split("50 %")[1]


def test_a_step_with_an_end_shows_the_time_left() -> None:
    """Where the step must have ended by a time, that is shown in place of the time spent."""
    bars = Bars(Console(file=io.StringIO(), width=80, force_terminal=True))
    bars.begin("trial 3", 600)
    assert "left" in render(bars)


def render(bars: Bars) -> str:
    """As text of 80 columns."""
    plain = Console(file=(text := io.StringIO()), width=80)
    plain.print(bars)
    return text.getvalue()


def test_a_quiet_console_shows_nothing() -> None:
    """Neither lines nor bars."""
    text = io.StringIO()
    with show_progress(Console(file=text, quiet=True)):
        begin_step("reading")
        with open_part("rows", 2) as part:
            part.advance(1)
    assert text.getvalue() == ""


@pytest.mark.parametrize(("seconds", "text"), [(7.4, "0:07"), (61, "1:01"), (3723, "1:02:03")])
def test_seconds(seconds: float, text: str) -> None:
    """As a clock shows them."""
    assert format_seconds(seconds) == text
