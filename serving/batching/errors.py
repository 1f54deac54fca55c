"""Why a valid request gets no answer.

Unanswered
├── Unavailable    the server starts or stops
├── Overloaded     the queue is full, or too long for the request's deadline
└── Expired        the deadline passed before the request ran
"""

from __future__ import annotations


class Unanswered(RuntimeError):
    """The base class. The message gives the reason."""


class Unavailable(Unanswered):
    """Retry later, or on another server."""


class Overloaded(Unanswered):
    """Retry later."""


class Expired(Unanswered):
    """Rows that had not started were not run."""
