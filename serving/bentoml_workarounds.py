"""What `serving.service` changes in BentoML, each with its reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import uvicorn
from bentoml._internal.server.http.traffic import TimeoutMiddleware
from circus.watcher import Watcher
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from serving.http.root_path import strip_root_path
from serving.http.server.connection import connection_class
from serving.http.server.server import Server
from serving.inference.memory import trim_memory
from serving.settings.access import AccessPolicy
from serving.settings.limits import ServerLimits

if TYPE_CHECKING:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    from serving.http.app import App  # at run time only in the worker


KILL_MARGIN_SECONDS = 1.0
"""After the time in which the worker ends itself."""


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

    PATHS = frozenset({"/schema.json"})
    PATH_PREFIX = "/static_content/"
    LIVE = "/healthz"

    def __init__(self, app: ASGIApp, lazy_app: LazyApp, access_policy: AccessPolicy, root_path: str = "") -> None:
        """``access_policy`` is for BentoML's pages too."""
        from serving.http.middleware.access import access_middleware  # in the worker only

        self._bentoml, self._lazy_app, self._pages, self._root_path = app, lazy_app, app, root_path
        for each in reversed(access_middleware(access_policy, access_policy.keys())):
            self._pages = each.cls(self._pages, *each.args, **each.kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._bentoml(scope, receive, send)
            return
        strip_root_path(scope, self._root_path)
        if scope["path"] in self.PATHS or scope["path"].startswith(self.PATH_PREFIX):
            await self._pages(scope, receive, send)
        elif scope["path"] == self.LIVE:
            await self._lazy_app.app({**scope, "path": "/livez", "raw_path": b"/livez"}, receive, send)
        else:
            await self._lazy_app.app(scope, receive, send)


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


def watch_worker(server_limits: ServerLimits) -> None:
    """What BentoML's parent process does with its worker.

    At SIGHUP, it would restart it, which itself checks a new version before it serves it. At SIGTERM, it would wait a
    day for it.
    """
    create = Watcher.__init__
    seconds = server_limits.drain_seconds + server_limits.grace_seconds + KILL_MARGIN_SECONDS

    def init(self: Watcher, *arguments: Any, **options: Any) -> None:
        create(self, *arguments, **{**options, "send_hup": True, "graceful_timeout": seconds})

    Watcher.__init__ = init


def use_server(server_limits: ServerLimits, lazy_app: LazyApp) -> None:
    """BentoML creates ``uvicorn.Server`` with ``http="auto"`` later: these get the project's server and limits."""
    protocols: dict[str, Any] = HTTP_PROTOCOLS  # typed as names, but classes are accepted
    protocols["auto"] = connection_class(
        server_limits, lambda reason: lazy_app.app.server_state.metrics.count_refused_connection(reason)
    )
    uvicorn.Server = type("Server", (Server,), {"grace_seconds": server_limits.grace_seconds})  # type: ignore
