"""What a batcher tells of its work: each call of the engine to an observer, and each request how long it waited.

Times are of `time.perf_counter`, in seconds. An event loop's own clock will not do: uvloop's stands still while a
callback runs and counts whole milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Observer(Protocol):
    """Whoever counts. It is called on the event loop, once a call of the engine, and should take microseconds."""

    def ran(self, waited: Sequence[float], tokens: int, seconds: float) -> None:
        """The engine answered a batch.

        Args:
            waited: for each window, the seconds between its arrival and the engine's beginning.
            tokens: of all windows together, padding not counted.
            seconds: that the engine took.
        """


class Timing:
    """When a request's windows were handed in, first taken up by the engine, and all answered; 0 until then."""

    __slots__ = ("answered", "begun", "submitted")

    def __init__(self) -> None:
        self.submitted = self.begun = self.answered = 0.0
