"""The gRPC server, over the same app as the HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
from starlette.applications import Starlette

from serving.bundle.manifest import LARGEST
from serving.entrypoints.grpc_api.health import Health
from serving.entrypoints.grpc_api.service import Service
from serving.http.app import App

HEAD_BYTES = 64 * 1024
"""The largest size of a message without its texts."""

STREAMS = 32
"""Calls at once on a connection: each may hold a message that has not all arrived. Clients hold back further ones."""

COPIES = 4
"""Of a message, beside the body that it becomes."""

LAST_SECONDS = 1.0
"""For the tasks of calls to end, which takes milliseconds."""


def add_grpc_server(app: App, address: str, *, host: str) -> None:
    """Start and stop a gRPC server with the app; it stops first, and answers accepted calls while there is time.

    ``host`` is the Host header of its calls to the app, which may accept certain names only.
    """
    app_lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(starlette: Starlette) -> AsyncIterator[None]:
        async with app_lifespan(starlette):
            service = Service(app, host, app.server_state.server_limits.max_bodies_bytes // COPIES)
            server = _create_server(app, service)
            server.add_insecure_port(address)
            await server.start()
            try:
                yield
            finally:
                await stop_server(server, service, app.server_state.seconds_to_stop)

    app.router.lifespan_context = lifespan


async def stop_server(server: grpc.aio.Server, service: Service, grace: float) -> None:
    """Refuse new calls, answer accepted ones for ``grace`` seconds, cancel the others; then gRPC's tasks have ended.

    gRPC's own ``stop(grace)`` returns before they have, and the end of the loop would cancel them, which gRPC logs as
    an error of the method. It waits for connections that have said nothing; and a second ``stop`` that ends the wait
    may crash the process.
    """
    service.stopping = True
    await _end(_call_tasks, grace)
    await server.stop(None)
    await _end(_tasks, LAST_SECONDS)


async def _end(find: Callable[[], list[asyncio.Task[object]]], seconds: float) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while (tasks := find()) and (left := end - asyncio.get_running_loop().time()) > 0:
        await asyncio.wait(tasks, timeout=left)


def _call_tasks() -> list[asyncio.Task[object]]:
    """A call has two: the second is created by the first. Those of the server itself end with it."""
    return [task for task in _tasks() if not getattr(task.get_coro(), "__qualname__", "").startswith("AioServer.")]


def _tasks() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if _module(task.get_coro()).startswith("grpc.")]


def _module(coroutine: object) -> str:
    return getattr(coroutine, "__module__", None) or ""  # compiled coroutines have one, those of Python none


def _create_server(app: App, service: Service) -> grpc.aio.Server:
    body_bytes = max(served.model.predictor.manifest.limits.max_body_bytes for served in app.server_state.models)
    limits = app.server_state.server_limits
    options = [
        ("grpc.so_reuseport", 0),  # else a second server on this port would silently take half of the calls
        ("grpc.max_receive_message_length", min(body_bytes + HEAD_BYTES, LARGEST)),
        ("grpc.max_allowed_incoming_connections", limits.max_grpc_connections),
        ("grpc.server_handshake_timeout_ms", round(limits.head_seconds * 1000)),
        ("grpc.max_connection_idle_ms", round(limits.keep_alive_seconds * 1000)),
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.http.overload_protection", 0),  # it resets the calls that a client begins before it knows the bound
    ]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=limits.max_connections)
    health = Health(service, app.server_state.is_ready)
    server.add_generic_rpc_handlers((service.handlers(), health.handlers()))
    return server
