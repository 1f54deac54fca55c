"""What the endpoints share: the model that answers, the metrics, and whether it may be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest

from serving.app.model import Model
from serving.metrics import Metrics
from serving.predictor import Predictor


class Surface:
    """One served bundle and what is counted of it; ready between start-up and shutdown."""

    def __init__(self, load: Callable[[], Predictor], max_queue: int) -> None:
        self._load = load
        self._max_queue = max_queue
        self.metrics = Metrics()
        self.ready = False

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Load and replay the golden answers first; what was accepted is answered before the end."""
        self.model = Model(await asyncio.to_thread(self._load), max_queue=self._max_queue)
        self.metrics.serves(self.model.predictor.bundle)
        self.ready = True
        try:
            yield
        finally:
            self.ready = False
            await self.model.close()

    def model_of(self, _: HttpRequest) -> Model:
        """The model that a request is for."""
        return self.model
