"""How many requests start in one turn of the event loop; the others wait for later turns.

A turn runs all requests that start in it before it reads connections again. Without a bound, new requests would wait
unread on their connections, where no queue limit counts them and nobody gets a 429.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

STARTS_PER_TURN = 16
"""A few milliseconds of work."""

OVERLOADED = "tuneship.overloaded"
"""In an ASGI scope: why the request must be refused with 429."""

Start = Callable[[], None]


class Admission:
    """One server's, on its event loop."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._started = 0
        self._waiting: deque[Start] = deque()

    def enter(self, start: Start) -> bool:
        """Call ``start`` now or in a later turn; False if too many wait."""
        if self._started < STARTS_PER_TURN:
            self._start(start)
        elif len(self._waiting) < self._max_waiting:
            self._waiting.append(start)
        else:
            return False
        return True

    @property
    def full(self) -> str:
        """Why `enter` would refuse."""
        return f"{len(self._waiting):,} requests wait to be started already"

    def _start(self, start: Start) -> None:
        if not self._started:
            asyncio.get_running_loop().call_soon(self._next_turn)
        self._started += 1
        start()

    def _next_turn(self) -> None:
        self._started = 0
        while self._waiting and self._started < STARTS_PER_TURN:
            self._start(self._waiting.popleft())
