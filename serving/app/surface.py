"""What the endpoints share: the model that answers, the metrics, and whether it may be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest

from serving.app.model import Model
from serving.batching.errors import Unavailable
from serving.metrics import Metrics
from serving.predictor import Predictor


class Surface:
    """One served bundle and what is counted of it.

    Attributes:
        draining: somebody has asked for the end; what comes is still answered, and ``ready`` says to send no more.
    """

    def __init__(self, load: Callable[[], Predictor], max_queue: int) -> None:
        self._load = load
        self._max_queue = max_queue
        self._model: Model | None = None
        self.metrics = Metrics()
        self.draining = False

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here: the bundle is loaded and proven, and nobody has asked for the end."""
        return self._model is not None and not self.draining

    @property
    def model(self) -> Model:
        """The served model; raises Unavailable before it is loaded and after it is closed."""
        if self._model is None:
            raise Unavailable("the server is stopping" if self.draining else "the model is being loaded")
        return self._model

    def tell_depth(self) -> None:
        """Publish how many windows wait for the engine."""
        if self._model:
            self.metrics.queue.labels(self._model.name).set(self._model.batcher.depth)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Load and replay the golden answers first; what was accepted is answered before the end."""
        predictor = await asyncio.to_thread(self._load)
        name = predictor.manifest.name
        model = Model(predictor, name, self.metrics.of(name, predictor.bundle), max_queue=self._max_queue)
        self.metrics.serves(name, predictor)
        self._model = model
        try:
            yield
        finally:
            self.draining, self._model = True, None
            await model.close()

    def model_of(self, _: HttpRequest) -> Model:
        """The model that a request is for; raises Unavailable where it may not be asked."""
        return self.model
