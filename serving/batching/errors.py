"""Why a valid request gets no answer."""

from __future__ import annotations


class Unanswered(RuntimeError):
    """The message gives the reason."""


class Unavailable(Unanswered):
    """The server starts or stops: retry later, or on another server."""


class Overloaded(Unanswered):
    """The queue is full, or too long for the deadline: retry later."""


class Expired(Unanswered):
    """The deadline passed; rows that had not started were not run."""
