"""The app: which path leads to which endpoint."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from serving.app.about import About
from serving.app.answering import Answering
from serving.app.explaining import Explaining
from serving.app.refusals import http_error, server_error
from serving.app.surface import Surface
from serving.batching.errors import Unavailable
from serving.dialects import DIALECTS, HUGGING_FACE
from serving.predictor import Predictor


def create_app(load: Callable[[], Predictor], *, max_queue: int = 1024) -> Starlette:
    """The app; ``load`` is called once, at start-up, and may raise BundleError."""
    surface = Surface(load, max_queue)
    app = Starlette(
        routes=[
            *_answering(Answering(surface)),
            Route("/explain", Explaining(surface).explain, methods=["POST"]),
            *_about(About(surface)),
        ],
        lifespan=surface.lifespan,
        exception_handlers={HTTPException: http_error, Unavailable: http_error, Exception: server_error},
    )
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
