"""Why a good request is not answered: through no fault of its own, and none of the server's code.

Unanswered
├── Unavailable    the server is starting or stopping
├── Overloaded     too much waits already
└── Expired        its time ran out while it waited
"""

from __future__ import annotations


class Unanswered(RuntimeError):
    """The request was good and was not answered; the message says why."""


class Unavailable(Unanswered):
    """Nothing can be asked yet, or any more: another server, or a later moment, may answer."""


class Overloaded(Unanswered):
    """The queue is full, or too long for the caller's deadline: it should come back later."""


class Expired(Unanswered):
    """The time that the caller or the server gives a request is over; what was late was not run."""
