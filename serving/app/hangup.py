"""SIGHUP, by which a long-running process is told to look again at what it was started with."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Remembered:
    """A handler for as long as nothing can be done yet: SIGHUP would end the process otherwise."""

    told = False

    def __call__(self, *_: object) -> None:
        """Remember it."""
        self.told = True


@contextmanager
def on_hangup(act: Callable[[], object]) -> Iterator[None]:
    """Meanwhile SIGHUP calls ``act``, at once where one is remembered.

    Not outside of the main thread, where Python allows no handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, lambda *_: act())
    if isinstance(before, Remembered) and before.told:
        act()
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
