"""SIGHUP, by which a long-running process is told to look again at what it was started with."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_hangup(act: Callable[[], object]) -> Iterator[None]:
    """Meanwhile SIGHUP calls ``act``; not outside of the main thread, where Python allows no handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, lambda *_: act())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
