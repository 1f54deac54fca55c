"""Signals: SIGTERM makes the server not ready, and stops it only some seconds later; SIGHUP reloads the models."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import cast

logger = logging.getLogger("tuneship")


@contextmanager
def delay_sigterm(begin: Callable[[], None], seconds: float) -> Iterator[None]:
    """SIGTERM calls ``begin`` at once and the server's handler ``seconds`` later; a second SIGTERM skips the wait.

    Meanwhile load balancers see ``/readyz`` and send no more requests. SIGINT does not wait.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    if not all(map(callable, handlers.values())) or threading.current_thread() is not threading.main_thread():
        yield
        return
    for number, handle in handlers.items():
        signal.signal(number, _delay(cast(Handler, handle), begin, seconds if number == signal.SIGTERM else 0))
    try:
        yield
    finally:
        for number, handle in handlers.items():
            signal.signal(number, handle)


Handler = Callable[[int, FrameType | None], object]


def _delay(handle: Handler, begin: Callable[[], None], seconds: float) -> Handler:
    loop, draining = asyncio.get_running_loop(), False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal draining
        if draining or not seconds:
            begin()
            handle(number, frame)
            return
        draining = True
        begin()
        logger.info("not ready any more; stopping in %g s", seconds)
        loop.call_soon_threadsafe(loop.call_later, seconds, handle, number, None)

    return on_signal


class PendingSignal:
    """Remembers a SIGHUP during start-up, which would end the process."""

    received = False

    def __call__(self, *_: object) -> None:
        """Remember it."""
        self.received = True


@contextmanager
def on_hangup(act: Callable[[], object]) -> Iterator[None]:
    """SIGHUP calls ``act``, and so does a pending one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, lambda *_: act())
    if isinstance(before, PendingSignal) and before.received:
        act()
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
