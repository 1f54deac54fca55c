"""What `serving.service` changes in BentoML, in its supervisor circus and in uvicorn, each with its reason.

A change is made where what it changes is as it was when it was written: the names and parameters that it needs are
there. Elsewhere the log tells what the service is without it, and the service starts all the same.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import logging
from collections.abc import Callable
from types import CodeType
from typing import Any, ParamSpec

import uvicorn
from uvicorn.config import HTTP_PROTOCOLS

from serving.http.server.connection import OnRefused, connection_class
from serving.http.server.server import Server
from serving.settings.limits import ServerLimits

logger = logging.getLogger("tuneship")

P = ParamSpec("P")

KILL_MARGIN_SECONDS = 1.0
"""After the time in which the worker ends itself."""

ASGI = ("self", "scope", "receive", "send")


class NotAsExpected(Exception):
    """The message says what is missing."""


def change(*, without: str) -> Callable[[Callable[P, None]], Callable[P, bool]]:
    """The decorated function makes a change, and returns whether it did; ``without``: what follows where it did not."""

    def decorate(make: Callable[P, None]) -> Callable[P, bool]:
        @functools.wraps(make)
        def attempt(*args: P.args, **kwargs: P.kwargs) -> bool:
            try:
                make(*args, **kwargs)
            except (NotAsExpected, ImportError, AttributeError) as error:
                version = importlib.metadata.version("bentoml")
                logger.warning("%s of BentoML %s is not made: %s; %s", make.__name__, version, error, without)
                return False
            return True

        return attempt

    return decorate


def expect(condition: object, what: str) -> None:
    """Raise NotAsExpected."""
    if not condition:
        raise NotAsExpected(what)


@change(without="a finished request stays in memory for a minute, and a longer one gets 504 from BentoML")
def disable_timeouts() -> None:
    """BentoML never cancels a request's timer, which keeps the request in memory until it expires.

    See bentoml/_internal/server/http/traffic.py; no setting turns it off. The app has its own timeouts.
    """
    middleware = importlib.import_module("bentoml._internal.server.http.traffic").TimeoutMiddleware
    expect("call_later" in _names(middleware.__call__.__code__), "TimeoutMiddleware sets no timer by call_later")
    _pass_requests_on(middleware)


@change(without="each request has a span that nothing collects")
def disable_spans() -> None:
    """BentoML creates spans even if nothing collects them; the app creates its own. Call it in the worker only."""
    _pass_requests_on(importlib.import_module("opentelemetry.instrumentation.asgi").OpenTelemetryMiddleware)


def _pass_requests_on(middleware: Any) -> None:
    expect(tuple(inspect.signature(middleware.__call__).parameters) == ASGI, f"{middleware.__name__} is no ASGI app")
    expect("app" in _names(middleware.__init__.__code__), f"{middleware.__name__} keeps its app under another name")
    middleware.__call__ = _pass_on


async def _pass_on(self: Any, scope: Any, receive: Any, send: Any) -> None:
    await self.app(scope, receive, send)


def _names(code: CodeType) -> set[str]:
    """The attributes and globals that a function uses."""
    return set(code.co_names)


@change(without="SIGHUP restarts the worker, and SIGTERM waits a day for it")
def watch_worker(server_limits: ServerLimits) -> None:
    """What BentoML's parent process does with its worker.

    At SIGHUP, it would restart it, which itself checks a new version before it serves it. At SIGTERM, it would wait a
    day for it.
    """
    watcher = importlib.import_module("circus.watcher").Watcher
    create, needed = watcher.__init__, {"send_hup", "graceful_timeout"}
    lacking = needed - inspect.signature(create).parameters.keys()
    expect(not lacking, f"circus' Watcher takes no {', '.join(sorted(lacking))}")
    seconds = server_limits.drain_seconds + server_limits.grace_seconds + KILL_MARGIN_SECONDS

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        create(self, *arguments, **{**options, "send_hup": True, "graceful_timeout": seconds})

    watcher.__init__ = init


@change(without="batches are kept for BentoML's 24 hours")
def keep_results(seconds: float) -> None:
    """How long BentoML keeps a task after its end: no setting of BentoML's tells it."""
    store = importlib.import_module("_bentoml_impl.tasks").Sqlite3Store
    expect("RESULT_RETENTION" in _names(store.set_result.__code__), "Sqlite3Store has no RESULT_RETENTION")
    store.RESULT_RETENTION = seconds


@change(without="limits of connections, heads and idle times are uvicorn's")
def use_connection(server_limits: ServerLimits, on_refused: OnRefused) -> None:
    """BentoML configures uvicorn with ``http="auto"``: it gets the project's connection."""
    protocols: dict[str, Any] = HTTP_PROTOCOLS  # typed as names, but classes are accepted
    expect("auto" in protocols, "uvicorn has no http='auto'")
    expect("HTTP_PROTOCOLS" in _names(uvicorn.Config.load.__code__), "uvicorn looks its connections up elsewhere")
    protocols["auto"] = connection_class(server_limits, on_refused)


class WatchedServer(Server):
    """Knows whether BentoML took it."""

    taken = False

    def __init__(self, config: uvicorn.Config) -> None:
        WatchedServer.taken = True
        super().__init__(config)


ANOTHER_SERVER = "a stop resets connections that wait to be accepted, and waits for a stuck engine"


@change(without=ANOTHER_SERVER)
def use_server(server_limits: ServerLimits) -> None:
    """BentoML creates a ``uvicorn.Server`` later, in the worker: it gets ours. See `warn_of_another_server`."""
    expect("config" in inspect.signature(uvicorn.Server).parameters, "uvicorn's Server takes no config")
    uvicorn.Server = type("Server", (WatchedServer,), {"grace_seconds": server_limits.grace_seconds})  # type: ignore


def warn_of_another_server() -> None:
    """To be called once a server runs: only then is it known which one BentoML created."""
    if not WatchedServer.taken:
        logger.warning("use_server had no effect: BentoML runs the app by another server; %s", ANOTHER_SERVER)
