"""Why a valid request gets no answer."""

from __future__ import annotations


class Unanswered(RuntimeError):
    """The message gives the reason."""


class Unavailable(Unanswered):
    """The server starts or stops: retry later, or on another server."""


class Overloaded(Unanswered):
    """The queue is full, or too long for the deadline: retry later, after ``seconds`` if given."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class Expired(Unanswered):
    """The deadline passed; rows that had not started were not run."""
