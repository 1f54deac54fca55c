"""A bar of the rows that are answered, in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def progress_bar(console: Console, rows: int, done: int) -> Iterator[Callable[[int], None]]:
    """Yields the function to call with the rows answered since its last call."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # slow to import

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=rows, completed=done)
        yield lambda amount: progress.advance(task, amount)
