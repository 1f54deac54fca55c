"""What the endpoints share: the served models, the metrics, and whether the server is ready."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest

from serving.batching.errors import Unavailable
from serving.errors import UserError, quote
from serving.http.body import BodiesInHand
from serving.http.models.model import Model
from serving.http.models.registry import ModelRegistry, ServedModel
from serving.http.models.sources import Source
from serving.http.server.last_resort import end_within
from serving.http.server.signals import delay_sigterm, on_hangup
from serving.inference.predictor import Predictor
from serving.observability.metrics import Metrics
from serving.observability.model_metrics import ModelMetrics
from serving.observability.request_ids import RequestIds
from serving.settings.access import AccessPolicy
from serving.settings.api_keys import ApiKeys
from serving.settings.limits import ServerLimits
from serving.settings.platforms import Platform


class ServerState:
    """Attributes:
    keys: those that requests need, if any.
    draining: SIGTERM has come; requests are still answered, but ``ready`` is False.
    failure: why the models could not be opened, if a user can act on it.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        server_limits: ServerLimits,
        access_policy: AccessPolicy,
        watch: float | None,
        root_path: str = "",
        platform: Platform = Platform(),  # noqa: B008 - frozen
    ) -> None:
        self.server_limits, self.access_policy, self.root_path = server_limits, access_policy, root_path
        self.platform = platform
        self.bodies = BodiesInHand(server_limits.max_bodies_bytes)
        self.metrics = Metrics()
        self.request_ids = RequestIds()
        self.keys: ApiKeys | None = None
        self.draining = self._open = False
        self._stops_at = math.inf
        self.failure: UserError | None = None
        self._watch = watch
        self._models = ModelRegistry(sources, self._make_model, self.metrics)

    @property
    def ready(self) -> bool:
        """Whether load balancers should send requests here."""
        return self._open and not self.draining and all(served.alive for served in self._models)

    def is_ready(self, model: str = "") -> bool:
        """Of a model by its name, or of the whole server."""
        return self.ready and (not model or self._models.get(model) is not None)

    @property
    def models(self) -> ModelRegistry:
        """Raises Unavailable before they are loaded and after they are closed."""
        if not self._open:
            raise Unavailable("the server is stopping" if self.draining else "the model is being loaded")
        return self._models

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Golden answers are checked first; accepted requests are answered before the end."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._models.open()
        except UserError as error:
            self.failure = error
            raise
        self._open = True
        try:
            async with self._models.watch(self._watch):
                with delay_sigterm(self._drain, self.server_limits.drain_seconds), on_hangup(self.reload_soon):
                    yield
        finally:
            self.draining, self._open = True, False
            await self._models.close()

    @property
    def seconds_to_stop(self) -> float:
        """That are left for accepted requests."""
        return max(0.0, min(self._stops_at - time.monotonic(), self.server_limits.grace_seconds))

    def find(self, http: HttpRequest, name: str = "") -> ServedModel:
        """By the path, else ``name``, else the default; raises Unavailable, HTTPException 404."""
        name, models = http.path_params.get("model", name), self.models
        served = models.get(name) if name else models.default
        if served is None:
            known = ", ".join(each.name for each in models)
            raise HTTPException(404, f"no model is named {quote(name)}; served are: {known}")
        return served

    def seconds_to_drain(self, model: str) -> float:
        """At the current throughput; 0 for no model."""
        served = self._models.get(model) if self._open else None
        return served.model.batcher.seconds_to_drain if served else 0.0

    def publish_queue_depth(self) -> None:
        for served in self._models if self._open else ():
            self.metrics.queue.labels(served.name).set(served.model.batcher.depth)

    def reload_soon(self) -> None:
        """In the background; safe in a signal handler."""
        if self.ready:
            self._loop.call_soon_threadsafe(self._start_reload)

    def _start_reload(self) -> None:
        self._reloading = asyncio.create_task(self._models.reload())

    def _drain(self) -> None:
        if not self.draining:
            self._stops_at = time.monotonic() + self.server_limits.drain_seconds + self.server_limits.grace_seconds
            end_within(self._stops_at - time.monotonic())
        self.draining = True

    def _make_model(self, name: str, predictor: Predictor) -> Model:
        return Model(predictor, name, ModelMetrics(self.metrics, name, predictor.bundle), self.server_limits)


def state_of(http: HttpRequest) -> ServerState:
    """Of the app that answers a request."""
    return cast(ServerState, http.app.server_state)
