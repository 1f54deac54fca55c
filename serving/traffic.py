"""How much traffic the surface takes in, and how long a request may take."""

from __future__ import annotations

from dataclasses import dataclass, field

from serving.batching.shape import Bounds


@dataclass(frozen=True)
class Traffic:
    """The surface's limits that are not a bundle's.

    Attributes:
        bounds: what may wait for each model's engine.
        workers: engine threads of each model.
        wait_seconds: how long a request may wait for its turn; a caller may ask for less.
        body_seconds: how long a request's body may take to arrive.
    """

    bounds: Bounds = field(default_factory=Bounds)
    workers: int = 1
    wait_seconds: float = 30.0
    body_seconds: float = 20.0


DEFAULT = Traffic()
