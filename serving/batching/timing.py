"""What a batcher reports, in seconds of `time.perf_counter`; uvloop's own clock is too coarse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Observer(Protocol):
    """Called on the event loop after each engine call; must be fast."""

    def ran(self, waited: Sequence[float], tokens: int, seconds: float) -> None:
        """``waited``: seconds of each window in the queue; ``tokens``: without padding; ``seconds``: of the call."""


class Timing:
    """When windows were submitted, began to run and were all answered; 0.0 until then."""

    __slots__ = ("answered", "begun", "submitted")

    def __init__(self) -> None:
        self.submitted = self.begun = self.answered = 0.0
