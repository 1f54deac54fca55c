"""How far a command is: the step, a bar and the time left on a terminal; lines now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import rich.progress
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from serving.observability.progress import Progress, report_to

STEP_WIDTH, PART_WIDTH, BAR_WIDTH = 64, 44, 16
FIRST_LINE, LONGEST_PAUSE = 10.0, 300.0
"""Seconds until a part's first line, and the most between two."""


class StepTime(rich.progress.ProgressColumn):
    """How long the step takes, or how long it can take yet."""

    def render(self, task: rich.progress.Task) -> Text:
        seconds = task.fields.get("seconds")
        if seconds is None:
            return Text(format_seconds(task.elapsed or 0))
        return Text(f"{format_seconds(max(0.0, seconds - (task.elapsed or 0)))} left")


class Bars(Progress):
    """The step and the time that it takes, and in another line the part, its bar and the time left."""

    def __init__(self, console: Console) -> None:
        step, part = _column(STEP_WIDTH), _column(PART_WIDTH)
        self.step = rich.progress.Progress(
            SpinnerColumn(), TextColumn("{task.description}", table_column=step), StepTime(), console=console
        )
        self.bar = rich.progress.Progress(
            TextColumn("  {task.description}", table_column=part),
            BarColumn(bar_width=BAR_WIDTH),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            console=console,
        )

    def __rich__(self) -> Group:
        return Group(*(each for each in (self.step, self.bar) if each.task_ids))

    def begin(self, step: str, seconds: float | None = None) -> None:
        _clear(self.step)
        _clear(self.bar)
        self.step.add_task(escape(step), total=None, seconds=seconds)

    def expect(self, part: str, count: int, done: int = 0) -> None:
        _clear(self.bar)
        self.bar.add_task(escape(part), total=count, completed=done)

    def describe(self, part: str) -> None:
        for each in self.bar.task_ids:
            self.bar.update(each, description=escape(part))

    def advance(self, count: int) -> None:
        for each in self.bar.task_ids:
            self.bar.advance(each, count)

    def finish(self) -> None:
        _clear(self.bar)


def _column(width: int) -> Column:
    return Column(no_wrap=True, overflow="ellipsis", width=width)


def _clear(progress: rich.progress.Progress) -> None:
    for each in progress.task_ids:
        progress.remove_task(each)


class Lines(Progress):
    """A line for each step, and for a part that takes long: after 10 seconds, then ever more rarely."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._part, self._count, self._done, self._first = "", 0, 0, 0
        self._begun = self._next = 0.0

    def begin(self, step: str, seconds: float | None = None) -> None:
        limit = "" if seconds is None else f" ({format_seconds(seconds)} at most)"
        self._print(f"{step}{limit}")

    def expect(self, part: str, count: int, done: int = 0) -> None:
        self._part, self._count, self._done, self._first = part, count, done, done
        self._begun = time.monotonic()
        self._next = self._begun + FIRST_LINE

    def describe(self, part: str) -> None:
        self._part = part

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now < self._next or not self._count:
            return
        spent = now - self._begun
        self._next = now + min(max(FIRST_LINE, spent / 4), LONGEST_PAUSE)
        left = spent / max(self._done - self._first, 1) * (self._count - self._done)
        self._print(f"  {self._part}  {self._done / self._count:.0%}, {format_seconds(max(left, 0.0))} left")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def format_seconds(seconds: float) -> str:
    """Such as 0:07 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


_live: ContextVar[Live | None] = ContextVar("live", default=None)


@contextmanager
def show_progress(console: Console) -> Iterator[None]:
    """Show the steps inside the block."""
    if console.quiet:
        yield
    elif console.is_terminal:
        bars = Bars(console)
        # words on stdout appear above the bars, unless stdout is a file
        live = Live(bars, console=console, transient=True, redirect_stdout=sys.stdout.isatty())
        token = _live.set(live)
        try:
            with live, report_to(bars):
                yield
        finally:
            _live.reset(token)
    else:
        with report_to(Lines(console)):
            yield


@contextmanager
def paused_progress() -> Iterator[None]:
    """Without bars inside the block, for a question."""
    live = _live.get()
    if live is None:
        yield
        return
    live.stop()
    try:
        yield
    finally:
        live.start(refresh=True)
