"""What a batcher reports, in seconds of `time.perf_counter`. The clock of uvloop's event loop is too coarse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Observer(Protocol):
    """Called on the event loop after each engine call; must return within microseconds."""

    def ran(self, waited: Sequence[float], tokens: int, seconds: float) -> None:
        """``waited``: each window's seconds in the queue; ``tokens``: without padding; ``seconds``: the call's."""


class Timing:
    """When a request's windows were submitted, first ran (``begun``) and were all answered; 0.0 until then."""

    __slots__ = ("answered", "begun", "submitted")

    def __init__(self) -> None:
        self.submitted = self.begun = self.answered = 0.0
