"""How much traffic the server accepts, and how long a request may take."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.batching.batch_shape import QueueLimits

MAX_HEAD_BYTES = 64 * 1024
"""Of request line and headers. Servers allow 8 kB to 64 kB."""

MAX_HEAD_FIELDS = 128
"""Headers of a request: each costs more memory than its bytes. Servers allow 100 or so."""


@dataclass(frozen=True)
class ServerLimits:
    """Limits besides the bundle's.

    Attributes:
        bounds: of each model's queue.
        workers: engine threads of each model.
        wait_seconds: in the queue; a request may set less.
        generation_seconds: for all texts that a request generates; a request may set less.
        max_cache_bytes: of the keys and values of all running generations of a model; one may have half of it.
        body_seconds: until a body has arrived.
        head_seconds: until headers have arrived, also on a new idle connection.
        keep_alive_seconds: between requests. More than load balancers' 60 s, so that they close first.
        max_bodies_bytes: of all bodies that are received or answered at once; larger ones leave a share to small ones.
        max_connections: more than the queue holds, so that a full queue gets its own error. Over gRPC, where a
            connection carries many calls, an eighth.
        max_explanations: of a model at once; 0: ``/explain`` is switched off.
        load_seconds: until a bundle is loaded and has repeated its golden answers.
        drain_seconds: from SIGTERM, when ``/readyz`` fails, until new connections are refused.
        grace_seconds: then for accepted requests; orchestrators kill 30 s after SIGTERM.
    """

    bounds: QueueLimits = field(default_factory=QueueLimits)
    workers: int = 1
    wait_seconds: float = 30.0
    generation_seconds: float = 300.0
    max_cache_bytes: int = 512 * 2**20
    body_seconds: float = 20.0
    head_seconds: float = 10.0
    keep_alive_seconds: float = 75.0
    max_bodies_bytes: int = 64 * 1024 * 1024
    max_connections: int = 2048
    max_explanations: int = 1
    load_seconds: float = 300.0
    drain_seconds: float = 3.0
    grace_seconds: float = 25.0

    @property
    def max_grpc_connections(self) -> int:
        return max(1, self.max_connections // 8)

    @property
    def descriptors(self) -> int:
        """Of all connections."""
        return self.max_connections + self.max_grpc_connections

    @property
    def limits(self) -> dict[str, float]:
        return {
            "max_queue": self.bounds.rows,
            "max_queue_tokens": self.bounds.tokens,
            "max_bodies_bytes": self.max_bodies_bytes,
            "max_explanations": self.max_explanations,
            "wait_seconds": self.wait_seconds,
            "generation_seconds": self.generation_seconds,
            "max_cache_bytes": self.max_cache_bytes,
            "body_seconds": self.body_seconds,
            "head_seconds": self.head_seconds,
            "max_head_bytes": MAX_HEAD_BYTES,
            "keep_alive_seconds": self.keep_alive_seconds,
            "max_connections": self.max_connections,
        }


DEFAULT = ServerLimits()
