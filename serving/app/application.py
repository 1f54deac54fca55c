"""The app: which path leads to which endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from serving.app.about import About
from serving.app.answering import Answering
from serving.app.direct import Direct
from serving.app.explaining import Explaining
from serving.app.gates import gates
from serving.app.observed import Observed
from serving.app.open_inference import OpenInference
from serving.app.refusals import http_error
from serving.app.sagemaker import SageMaker
from serving.app.surface import Surface
from serving.app.watching import Watching
from serving.batching.errors import Unavailable
from serving.dialects import DIALECTS, HUGGING_FACE
from serving.logs import LogSettings
from serving.predictor import Predictor
from serving.protection import Protection
from serving.sources import Given, Source
from serving.traffic import DEFAULT, Traffic

MODEL = "/models/{model}"
"""Where each model has the endpoints that the default one has at the root."""


class App(Starlette):
    """The routes, and around all of them what observes."""

    watching: Watching
    surface: Surface
    straight: Sequence[Route]

    def build_middleware_stack(self) -> ASGIApp:
        """As Starlette's own, but that the routes in ``straight`` have a way of their own, and failures end outside."""
        app: ASGIApp = Direct(ExceptionMiddleware(self.router, self.exception_handlers), self.straight)
        for each in reversed(self.user_middleware):
            app = each.cls(app, *each.args, **each.kwargs)
        watching = self.watching
        return Observed(app, watching.watchers, watching.failed, lambda: self.surface.draining)


def create_app(
    *sources: Source | Callable[[], Predictor],
    watch: float | None = None,
    traffic: Traffic = DEFAULT,
    log: LogSettings = LogSettings(),  # noqa: B008 - frozen
    protection: Protection = Protection(),  # noqa: B008 - frozen
    traces: bool = False,
) -> App:
    """The app over one model or several, the first of them the default.

    Args:
        sources: opened at start-up, which may raise BundleError.
        watch: seconds between two looks for a new version; None: only when told to.
        traffic: how much is taken in, and how long it may take.
        log: what is logged of requests.
        protection: who may ask.
        traces: whether spans are sent to the endpoint that OpenTelemetry's variables name.

    Raises:
        InputError: an API key is malformed.
    """
    surface = Surface([Given(each) if callable(each) else each for each in sources], traffic, watch)
    about = About(surface, protection)
    model = Answering(surface), Explaining(surface), about
    watching = Watching(surface.metrics, log, traces=traces)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with surface.lifespan(app):
            yield
        await asyncio.to_thread(watching.close)

    of_the_default = _of_a_model("", *model)
    app = App(
        routes=[
            *of_the_default,
            *_of_all(about),
            *_of_a_model(MODEL, *model),
            *OpenInference(surface, about).routes(),
            *SageMaker(surface, about).routes(),
        ],
        lifespan=lifespan,
        middleware=gates(protection),
        exception_handlers={HTTPException: http_error, Unavailable: http_error},
    )
    app.router.redirect_slashes = False  # to an address made of the caller's Host, and of http:// behind TLS
    app.watching = watching
    app.surface = surface
    app.straight = of_the_default
    return app


def _of_a_model(within: str, answering: Answering, explaining: Explaining, about: About) -> list[Route]:
    paths = {**DIALECTS, "" if within else "/": HUGGING_FACE}
    return [
        *(Route(within + path, answering.speaking(dialect), methods=["POST"]) for path, dialect in paths.items()),
        Route(f"{within}/explain", explaining.explain, methods=["POST"]),
        Route(f"{within}/info", about.info),
        Route(f"{within}/tei/info", about.info),
        Route(f"{within}/card", about.card),
        Route(f"{within}/openapi.json", about.openapi),
    ]


def _of_all(about: About) -> list[Route]:
    return [
        Route("/", about.page, methods=["GET"]),
        Route("/models", about.models),
        Route("/v1/models", about.openai_models),
        Route("/v1/models/{model}", about.openai_model),
        Route("/livez", about.livez),
        Route("/readyz", about.readyz),
        Route("/health", about.health),
        Route("/metrics", about.metrics),
        Route("/tei/health", about.health),
        Route("/tei/metrics", about.metrics),
        Route("/docs.json", about.openapi),  # where BentoML's own documentation page looks
    ]
