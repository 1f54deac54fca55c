"""How many requests begin at a time: a few in each turn of the event loop, the others in those that follow.

All that begins in a turn is worked on before the loop looks at its connections again. Were it everything that has come,
who comes meanwhile would wait unread, each on a connection of its own, until no further connection is taken: far more
may wait there than in the engine's queue, and nobody would be told that the server is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

STARTS_PER_TURN = 16
"""Requests that begin in a turn: milliseconds of work."""

OVERLOADED = "tuneship.crowded"
"""Tells of a request, in its scope, that it is to be refused as it begins, and why."""

Begin = Callable[[], None]


class Admission:
    """The one of a server, for all its connections: to be used on its event loop."""

    def __init__(self, most: int) -> None:
        """``most`` requests may wait until they begin."""
        self._most = most
        self._begun = 0
        self._waiting: deque[Begin] = deque()

    def enter(self, begin: Begin) -> bool:
        """Call ``begin`` now or, in the order of arrival, in a later turn; False where too many wait for that."""
        if self._begun < STARTS_PER_TURN:
            self._begin(begin)
        elif len(self._waiting) < self._most:
            self._waiting.append(begin)
        else:
            return False
        return True

    @property
    def full(self) -> str:
        """Why `enter` would refuse."""
        return f"{len(self._waiting):,} requests wait to be begun already"

    def _begin(self, begin: Begin) -> None:
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._turn)
        self._begun += 1
        begin()

    def _turn(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < STARTS_PER_TURN:
            self._begin(self._waiting.popleft())
