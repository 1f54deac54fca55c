"""Who gives way when all connections are taken: who has waited longest without a request in hand.

Places beyond the bound are for probes, which an orchestrator must be able to ask of a server whose callers are many.
"""

from __future__ import annotations

from typing import Protocol

PROBE_PLACES = 64
"""Beyond ``max_connections``."""

LEAST_WAIT_SECONDS = 0.2
"""A shorter wait is no idleness: a request may be under way."""


class Connection(Protocol):
    """What `Places` asks of one."""

    def give_way(self) -> None:
        """Close; no request is in hand."""

    def refuse_place(self) -> None:
        """Close; there are too many."""


class Places:
    """Of one server, on its event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Connection, float] = {}  # since when; longest first
        self._beyond: dict[Connection, None] = {}

    def enter(self, connection: Connection, taken: int, now: float) -> bool:
        """Whether a new connection has a place, of ``taken`` with it; else it may ask whether the server is ready."""
        if taken <= self._most or self._make_room(now):
            self._waiting[connection] = now
            return True
        self._beyond[connection] = None
        if len(self._beyond) > PROBE_PLACES:
            next(iter(self._beyond)).refuse_place()
        return False

    def wait(self, connection: Connection, now: float) -> None:
        """Its request is answered."""
        self._waiting[connection] = now

    def work(self, connection: Connection) -> None:
        """It has sent the head of a request."""
        self._waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """It ends."""
        self._waiting.pop(connection, None)
        self._beyond.pop(connection, None)

    def _make_room(self, now: float) -> bool:
        longest = next(iter(self._waiting), None)
        if longest is None or now - self._waiting[longest] < LEAST_WAIT_SECONDS:
            return False
        self.leave(longest)
        longest.give_way()
        return True
