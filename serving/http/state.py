"""What the endpoints share: the models that answer, the metrics, and whether they may be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest

from serving.batching.errors import Unavailable
from serving.errors import quote
from serving.http.models.model import Model
from serving.http.models.registry import ModelRegistry, ServedModel
from serving.http.models.sources import Source
from serving.http.server.signals import announced, on_hangup
from serving.inference.predictor import Predictor
from serving.observability.metrics import Metrics
from serving.settings.limits import ServerLimits


class ServerState:
    """The served bundles and what is counted of them.

    Attributes:
        traffic: how much is taken in, and how long it may take.
        draining: somebody has asked for the end; what comes is still answered, and ``ready`` says to send no more.
    """

    def __init__(self, sources: Sequence[Source], server_limits: ServerLimits, watch: float | None = None) -> None:
        self.server_limits = server_limits
        self._watch = watch
        self._open = False
        self.metrics = Metrics()
        self.draining = False
        self._models = ModelRegistry(sources, self._make, self.metrics)

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here: the bundles are loaded and proven, and nobody has asked for the end."""
        return self._open and not self.draining

    @property
    def models(self) -> ModelRegistry:
        """What is served; raises Unavailable before it is loaded and after it is closed."""
        if not self._open:
            raise Unavailable("the server is stopping" if self.draining else "the model is being loaded")
        return self._models

    @property
    def model(self) -> Model:
        """The version that answers where no model is named; raises Unavailable where it may not be asked."""
        return self.models.default.model

    def drain(self) -> None:
        """Say to send no more; may be called from a signal's handler."""
        self.draining = True

    def tell_depth(self) -> None:
        """Publish how many windows wait for each engine."""
        for served in self._models if self._open else ():
            self.metrics.queue.labels(served.name).set(served.model.batcher.depth)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Load and replay the golden answers first; what was accepted is answered before the end."""
        self._loop = asyncio.get_running_loop()
        await self._models.open()
        self._open = True
        try:
            async with self._models.watched(self._watch):
                with announced(self.drain, self.server_limits.drain_seconds), on_hangup(self.reload_soon):
                    yield
        finally:
            self.draining, self._open = True, False
            await self._models.close()

    def served(self, http: HttpRequest, name: str = "") -> ServedModel:
        """What a request is for: the model its path names, else the one its body names, else the default.

        Raises Unavailable where it may not be asked, HTTPException 404 where no model has that name.
        """
        name, models = http.path_params.get("model", name), self.models
        served = models.get(name) if name else models.default
        if served is None:
            known = ", ".join(each.name for each in models)
            raise HTTPException(404, f"no model is named {quote(name)}; served are: {known}")
        return served

    def model_of(self, http: HttpRequest, name: str = "") -> Model:
        """The version that answers a request now; raises as `served` does."""
        return self.served(http, name).model

    def reload_soon(self) -> None:
        """Look for new versions in the background; may be called from a signal's handler."""
        if self.ready:
            self._loop.call_soon_threadsafe(self._begin_reload)

    def _begin_reload(self) -> None:
        self._reloading = asyncio.create_task(self._models.reload())

    def _make(self, name: str, predictor: Predictor) -> Model:
        return Model(predictor, name, self.metrics.of(name, predictor.bundle), self.server_limits)
