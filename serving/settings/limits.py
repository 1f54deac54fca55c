"""How much traffic the surface takes in, and how long a request may take."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.batching.batch_shape import QueueLimits

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers. 8 kB to 64 kB is what servers allow."""


@dataclass(frozen=True)
class ServerLimits:
    """The surface's limits that are not a bundle's.

    Attributes:
        bounds: what may wait for each model's engine.
        workers: engine threads of each model.
        wait_seconds: how long a request may wait for its turn; a caller may ask for less.
        body_seconds: how long a request's body may take to arrive.
        head_seconds: how long a request's head may take; a connection that has asked for nothing yet is ended as soon.
        keep_alive_seconds: how long a connection may ask for nothing between two requests: longer than load balancers
            keep theirs, which is 60 s for most, so that none sends a request where nobody listens any more.
        max_connections: that are open at a time: more than may wait, so that a full queue is told as what it is.
        drain_seconds: from SIGTERM, when ``/readyz`` says no, until no connection is taken any more.
        grace_seconds: from then on, how long accepted requests may last: both are done before orchestrators kill, which
            is 30 s after SIGTERM.
    """

    bounds: QueueLimits = field(default_factory=QueueLimits)
    workers: int = 1
    wait_seconds: float = 30.0
    body_seconds: float = 20.0
    head_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    max_connections: int = 2048
    drain_seconds: float = 3.0
    grace_seconds: float = 25.0

    @property
    def limits(self) -> dict[str, float]:
        """Those of them that a caller meets with, by the names that ``/info`` gives them."""
        return {
            "max_queue": self.bounds.rows,
            "max_queue_tokens": self.bounds.tokens,
            "wait_seconds": self.wait_seconds,
            "body_seconds": self.body_seconds,
            "head_seconds": self.head_seconds,
            "max_head_bytes": MAX_HEAD_BYTES,
            "keep_alive_seconds": self.keep_alive_seconds,
            "max_connections": self.max_connections,
        }


DEFAULT = ServerLimits()
