"""The app: which path leads to which endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from serving.app.about import About
from serving.app.answering import Answering
from serving.app.explaining import Explaining
from serving.app.gates import gates
from serving.app.observed import Observed
from serving.app.refusals import http_error, server_error
from serving.app.surface import Surface
from serving.app.watching import Watching
from serving.batching.errors import Unavailable
from serving.dialects import DIALECTS, HUGGING_FACE
from serving.logs import LogSettings
from serving.predictor import Predictor
from serving.protection import Protection


class App(Starlette):
    """The routes, and around all of them what observes."""

    watching: Watching

    def build_middleware_stack(self) -> ASGIApp:
        """Starlette's own, observed from outside, so that a failure's 500 is seen too."""
        return Observed(super().build_middleware_stack(), self.watching.watchers, self.watching.failed)


def create_app(
    load: Callable[[], Predictor],
    *,
    max_queue: int = 1024,
    log: LogSettings = LogSettings(),  # noqa: B008 - frozen
    protection: Protection = Protection(),  # noqa: B008 - frozen
    traces: bool = False,
) -> App:
    """The app.

    Args:
        load: called once, at start-up; may raise BundleError.
        max_queue: texts that may wait.
        log: what is logged of requests.
        protection: who may ask.
        traces: whether spans are sent to the endpoint that OpenTelemetry's variables name.

    Raises:
        InputError: an API key is malformed.
    """
    surface = Surface(load, max_queue)
    watching = Watching(surface.metrics, log, traces=traces)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with surface.lifespan(app):
            yield
        await asyncio.to_thread(watching.close)

    app = App(
        routes=[
            *_answering(Answering(surface)),
            Route("/explain", Explaining(surface).explain, methods=["POST"]),
            *_about(About(surface)),
        ],
        lifespan=lifespan,
        middleware=gates(protection),
        exception_handlers={HTTPException: http_error, Unavailable: http_error, Exception: server_error},
    )
    app.watching = watching
    app.state.surface = surface
    return app


def _answering(endpoints: Answering) -> list[Route]:
    paths = {**DIALECTS, "/": HUGGING_FACE}
    return [Route(path, endpoints.speaking(dialect), methods=["POST"]) for path, dialect in paths.items()]


def _about(endpoints: About) -> list[Route]:
    return [
        # Before BentoML's own index page, which loads a tag manager from the network.
        Route("/", endpoints.page, methods=["GET"]),
        Route("/info", endpoints.info),
        Route("/card", endpoints.card),
        Route("/livez", endpoints.livez),
        Route("/readyz", endpoints.readyz),
        Route("/metrics", endpoints.metrics),
        Route("/openapi.json", endpoints.openapi),
        Route("/docs.json", endpoints.openapi),  # where BentoML's own documentation page looks
    ]
