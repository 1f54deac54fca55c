"""The end in two steps: at SIGTERM the server says to send no more, and stops only when that had time to be heard."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger("tuneship")


@contextmanager
def announced(begin: Callable[[], None], seconds: float) -> Iterator[None]:
    """Put SIGTERM off: it calls ``begin`` at once, and what would have handled it ``seconds`` later.

    A load balancer learns from ``/readyz`` that this server goes, and needs a moment until it sends nobody here any
    more; whoever comes meanwhile is answered. A second SIGTERM waits for nothing, and neither does SIGINT.

    Where no server has a handler there is nothing to put off, and outside of the main thread Python allows none.
    """
    handle = signal.getsignal(signal.SIGTERM)
    if not callable(handle) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _put_off(handle, begin, seconds))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handle)


Handler = Callable[[int, FrameType | None], object]


def _put_off(handle: Handler, begin: Callable[[], None], seconds: float) -> Handler:
    loop, begun = asyncio.get_running_loop(), False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal begun
        if begun or not seconds:
            begin()
            handle(number, frame)
            return
        begun = True
        begin()
        logger.info("not ready any more; stopping in %g s", seconds)
        loop.call_soon_threadsafe(loop.call_later, seconds, handle, number, None)

    return on_signal


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
