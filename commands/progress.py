"""Progress of a command, on stderr; nothing with ``--quiet``."""

from __future__ import annotations

from contextlib import AbstractContextManager

from commands.terminal import err
from serving.observability.progress_bars import show_progress as show_on


def show_progress() -> AbstractContextManager[None]:
    """Show the steps inside the block."""
    return show_on(err.console)
