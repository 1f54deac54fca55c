"""The app: which path leads to which endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.batching.errors import Unavailable
from serving.http.endpoints.explain import ExplainEndpoints
from serving.http.endpoints.info import InfoEndpoints
from serving.http.endpoints.open_inference import OpenInferenceEndpoints
from serving.http.endpoints.predict import PredictEndpoints
from serving.http.endpoints.sagemaker import SageMakerEndpoints
from serving.http.errors import http_error
from serving.http.middleware.access import gates
from serving.http.middleware.observe import ObservabilityMiddleware
from serving.http.models.sources import PredictorSource, Source
from serving.http.state import ServerState
from serving.inference.predictor import Predictor
from serving.observability.observers import Observers
from serving.protocols import HUGGING_FACE, PROTOCOLS
from serving.settings.access import AccessPolicy
from serving.settings.limits import DEFAULT, ServerLimits
from serving.settings.log_settings import LogSettings

MODEL = "/models/{model}"
"""Where each model has the endpoints that the default one has at the root."""


class App(Starlette):
    """The routes, and around all of them what observes."""

    observers: Observers
    server_state: ServerState
    straight: Sequence[Route]

    def build_middleware_stack(self) -> ASGIApp:
        """As Starlette's own, but that the routes in ``straight`` have a way of their own, and failures end outside."""
        app: ASGIApp = Direct(ExceptionMiddleware(self.router, self.exception_handlers), self.straight)
        for each in reversed(self.user_middleware):
            app = each.cls(app, *each.args, **each.kwargs)
        observers = self.observers
        return ObservabilityMiddleware(app, observers.watchers, observers.failed, lambda: self.server_state.draining)


def create_app(
    *sources: Source | Callable[[], Predictor],
    watch: float | None = None,
    server_limits: ServerLimits = DEFAULT,
    log: LogSettings = LogSettings(),  # noqa: B008 - frozen
    access_policy: AccessPolicy = AccessPolicy(),  # noqa: B008 - frozen
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
    state = ServerState([PredictorSource(each) if callable(each) else each for each in sources], server_limits, watch)
    about = InfoEndpoints(state, access_policy)
    model = PredictEndpoints(state), ExplainEndpoints(state), about
    observers = Observers(state.metrics, log, traces=traces)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with state.lifespan(app):
            yield
        await asyncio.to_thread(observers.close)

    of_the_default = _of_a_model("", *model)
    app = App(
        routes=[
            *of_the_default,
            *_of_all(about),
            *_of_a_model(MODEL, *model),
            *OpenInferenceEndpoints(state, about).routes(),
            *SageMakerEndpoints(state, about).routes(),
        ],
        lifespan=lifespan,
        middleware=gates(access_policy),
        exception_handlers={HTTPException: http_error, Unavailable: http_error},
    )
    app.router.redirect_slashes = False  # to an address made of the caller's Host, and of http:// behind TLS
    app.observers = observers
    app.server_state = state
    app.straight = of_the_default
    return app


def _of_a_model(
    within: str, answering: PredictEndpoints, explaining: ExplainEndpoints, about: InfoEndpoints
) -> list[Route]:
    paths = {**PROTOCOLS, "" if within else "/": HUGGING_FACE}
    return [
        *(Route(within + path, answering.speaking(protocol), methods=["POST"]) for path, protocol in paths.items()),
        Route(f"{within}/explain", explaining.explain, methods=["POST"]),
        Route(f"{within}/info", about.info),
        Route(f"{within}/tei/info", about.info),
        Route(f"{within}/card", about.card),
        Route(f"{within}/openapi.json", about.openapi),
    ]


def _of_all(about: InfoEndpoints) -> list[Route]:
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


class Direct:
    """Calls a route's endpoint by the request's path; whatever it has none for goes on to Starlette."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._routes = {("POST", route.path): route for route in routes if route.methods == {"POST"}}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with what Starlette would have told of its route."""
        known = scope["type"] == "http" and not scope.get("root_path")
        if not known or (route := self._routes.get((scope["method"], scope["path"]))) is None:
            await self._app(scope, receive, send)
            return
        scope["route"], scope["path_params"] = route, {}
        response = await route.endpoint(HttpRequest(scope, receive, send))
        await response(scope, receive, send)
