"""A progress bar over the bytes of a file, on a terminal; silence elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn


@contextmanager
def reading(path: Path, console: Console) -> Iterator[Callable[[int], None]]:
    """Shows how much of a file is read; gives the function to tell the bytes to."""
    total = path.stat().st_size if path.is_file() else None
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda amount: progress.advance(task, amount)
