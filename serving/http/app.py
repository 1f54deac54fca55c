"""The app: which path leads to which endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.endpoints import info, open_inference, sagemaker
from serving.http.endpoints.decisions import DecisionsEndpoint
from serving.http.endpoints.explain import explain
from serving.http.endpoints.predict import PredictEndpoint
from serving.http.errors import HANDLED, handle_error
from serving.http.middleware.access import access_middleware
from serving.http.middleware.observe import ObservabilityMiddleware
from serving.http.models.sources import PredictorSource, Source
from serving.http.platform_routes import Aliases
from serving.http.root_path import strip_root_path
from serving.http.state import ServerState
from serving.inference.predictor import Predictor
from serving.observability.observers import Observers
from serving.protocols import DECISIONS, HUGGING_FACE, INSTANCES, PROTOCOLS
from serving.protocols.openai_models import PREDICT
from serving.settings.access import AccessPolicy
from serving.settings.limits import DEFAULT, ServerLimits
from serving.settings.log_settings import LogSettings
from serving.settings.platforms import Platform
from serving.settings.settings import ServerSettings

ENDPOINTS = {DECISIONS: DecisionsEndpoint}
"""By path, where a protocol's endpoint is not `PredictEndpoint`."""


INSTANCES_PATH = f"/v1/models/{{model}}{PREDICT}"


class App(Starlette):
    """With what adaptors use beside its endpoints."""

    server_state: ServerState
    observers: Observers
    aliases: Aliases

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            strip_root_path(scope, self.server_state.root_path)
            self.aliases.apply(scope)
        await super().__call__(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Without Starlette's outermost: `ObservabilityMiddleware` answers failures, with the request's id."""
        app: ASGIApp = ExceptionMiddleware(self.router, self.exception_handlers)
        for each in reversed(self.user_middleware):
            app = each.cls(app, *each.args, **each.kwargs)
        return app


def create_app(
    *sources: Source | Callable[[], Predictor],
    watch: float | None = None,
    server_limits: ServerLimits = DEFAULT,
    log: LogSettings = LogSettings(),  # noqa: B008 - frozen
    access_policy: AccessPolicy = AccessPolicy(),  # noqa: B008 - frozen
    traces: bool = False,
    root_path: str = "",
    platform: Platform = Platform(),  # noqa: B008 - frozen
) -> App:
    """The app over one model or several, the first of them the default.

    ``sources`` are opened at start-up, which may raise BundleError; ``watch`` is the interval in seconds at which they
    are checked for a new version; ``root_path`` is a prefix of the paths; ``platform`` adds
    paths of its own. Raises InputError for a malformed API key.
    """
    opened_later = [PredictorSource(each) if callable(each) else each for each in sources]
    state = ServerState(opened_later, server_limits, access_policy, watch, root_path, platform)
    observers = Observers(state.metrics, log, traces=traces)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with state.lifespan(app):
            yield
        await asyncio.to_thread(observers.close)

    keys = state.keys = access_policy.keys()
    state.metrics.observe_keys(keys)
    models = _model_routes("") + _model_routes("/models/{model}")
    app = App(
        routes=[
            *models,
            Route(INSTANCES_PATH, PredictEndpoint(INSTANCES), methods=["POST"]),
            *info.ROUTES,
            *open_inference.ROUTES,
            *sagemaker.ROUTES,
        ],
        lifespan=lifespan,
        middleware=[Middleware(ObservabilityMiddleware, observers, state), *access_middleware(access_policy, keys)],
        exception_handlers=dict.fromkeys(HANDLED, handle_error),
    )
    app.router.redirect_slashes = False  # a redirect would repeat the caller's Host, with http:// behind TLS
    app.server_state, app.observers, app.aliases = state, observers, Aliases(platform, app.routes)
    return app


def create_served_app(settings: ServerSettings, sources: Sequence[Source]) -> App:
    """As the settings ask. Raises InputError for a malformed API key."""
    return create_app(
        *sources, watch=settings.watch, server_limits=settings.server_limits, log=settings.log,
        access_policy=settings.access_policy, traces=settings.traces, root_path=settings.root_path,
        platform=settings.platform,
    )  # fmt: skip


def _model_routes(prefix: str) -> list[Route]:
    paths = {**PROTOCOLS, "" if prefix else "/": HUGGING_FACE}
    return [
        *(
            Route(prefix + path, ENDPOINTS.get(path, PredictEndpoint)(protocol), methods=["POST"])
            for path, protocol in paths.items()
        ),
        Route(f"{prefix}/explain", explain, methods=["POST"]),
        Route(f"{prefix}/info", info.info),
        Route(f"{prefix}/tei/info", info.info),
        Route(f"{prefix}/card", info.card),
        Route(f"{prefix}/openapi.json", info.openapi),
    ]
