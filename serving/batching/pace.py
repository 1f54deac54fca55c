"""How fast the engine works, measured as it works: what the wait of a queue is foretold from."""

from __future__ import annotations

FIRST_GUESS = 1e-4
"""Seconds a token, before anything was measured: a small encoder on one core."""

WEIGHT = 0.1
"""Of the latest call in the moving average, which so follows the last dozen calls or so."""


class Pace:
    """A moving average of the seconds that a token takes, all workers together."""

    def __init__(self, workers: int) -> None:
        self.seconds_per_token = FIRST_GUESS
        self._workers = workers
        self._measured = False

    def seconds(self, tokens: int) -> float:
        """How long so many tokens will take."""
        return tokens * self.seconds_per_token

    def measure(self, tokens: int, seconds: float) -> None:
        """Take in a call of the engine."""
        weight = WEIGHT if self._measured else 1.0
        self.seconds_per_token += weight * (seconds / max(1, tokens) / self._workers - self.seconds_per_token)
        self._measured = True
