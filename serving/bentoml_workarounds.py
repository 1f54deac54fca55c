"""What `serving.service` changes in BentoML, each with its reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property, partialmethod
from typing import TYPE_CHECKING, Any

import uvicorn
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from circus.watcher import Watcher
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from serving.http.server.connection import connection_class
from serving.http.server.server import Server
from serving.inference.memory import trim_memory
from serving.settings.limits import ServerLimits

if TYPE_CHECKING:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    from serving.http.app import App  # at run time only in the worker


class LazyApp(Starlette):
    """Creates the app at its first use, in the worker: the parent process, which only watches, must not load it.

    It is a Starlette because BentoML runs the lifespan of no other ASGI app.
    """

    def __init__(self, create: Callable[[], App]) -> None:
        super().__init__(lifespan=self._lifespan)
        self._create = create

    @cached_property
    def app(self) -> App:
        return self._create()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self.app.router.lifespan_context(self.app):
            trim_memory()
            yield


class DirectRouting:
    """Sends requests directly to the app, except BentoML's own pages and lifespan events.

    BentoML would accept bodies of any size, add its cost to each request, and answer errors in another format.
    """

    PATHS = frozenset({"/schema.json", "/docs", "/healthz"})
    PATH_PREFIX = "/static_content/"

    def __init__(self, app: ASGIApp, lazy_app: LazyApp) -> None:
        self._bentoml, self._lazy_app = app, lazy_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._bentoml if self._is_bentomls(scope) else self._lazy_app.app)(scope, receive, send)

    def _is_bentomls(self, scope: Scope) -> bool:
        return scope["type"] != "http" or scope["path"] in self.PATHS or scope["path"].startswith(self.PATH_PREFIX)


def disable_timeouts() -> None:
    """BentoML never cancels a request's timer, which keeps the request in memory until it expires.

    See bentoml/_internal/server/http/traffic.py; no setting turns it off. The app has its own timeouts.
    """
    TimeoutMiddleware.__call__ = _pass_on


def disable_spans() -> None:
    """BentoML creates spans even if nothing collects them; the app creates its own. Call it in the worker only."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    OpenTelemetryMiddleware.__call__ = _pass_on  # type: ignore[method-assign]


async def _pass_on(self: TimeoutMiddleware | OpenTelemetryMiddleware, scope: Any, receive: Any, send: Any) -> None:
    await self.app(scope, receive, send)


def forward_sighup() -> None:
    """At SIGHUP, Circus would restart the worker, which itself checks a new version before it serves it."""
    Watcher.__init__ = partialmethod(Watcher.__init__, send_hup=True)


def use_server(server_limits: ServerLimits, lazy_app: LazyApp) -> None:
    """BentoML creates ``uvicorn.Server`` with ``http="auto"`` later: these get the project's server and limits."""
    protocols: dict[str, Any] = HTTP_PROTOCOLS  # typed as names, but classes are accepted
    protocols["auto"] = connection_class(
        server_limits, lambda reason: lazy_app.app.server_state.metrics.count_refused_connection(reason)
    )
    uvicorn.Server = Server  # type: ignore[misc]
