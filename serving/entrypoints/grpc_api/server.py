"""A gRPC server beside the HTTP one: on the same event loop, over the same app, for as long as the app is open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from starlette.applications import Starlette

from serving.entrypoints.grpc_api.service import Service
from serving.http.app import App

HEAD_BYTES = 64 * 1024
"""What a message holds besides its texts."""


def serve_beside(app: App, address: str, *, host: str, grace: float) -> None:
    """Make the app's lifespan that of a gRPC server too. It is given up last: what it accepted is still answered.

    Args:
        app: started by whoever serves it over HTTP.
        address: such as ``127.0.0.1:3001``.
        host: the name that the app is asked under, where it answers under some names only.
        grace: seconds that accepted calls have at the end.
    """
    within = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(starlette: Starlette) -> AsyncIterator[None]:
        async with within(starlette):
            server = _server(app, host)
            server.add_insecure_port(address)
            await server.start()
            try:
                yield
            finally:
                await server.stop(grace)

    app.router.lifespan_context = lifespan


def _server(app: App, host: str) -> grpc.aio.Server:
    most = max(served.model.predictor.manifest.limits.max_body_bytes for served in app.server_state.models)
    options = [
        ("grpc.so_reuseport", 0),  # else a second server would take half of this one's calls, unnoticed
        ("grpc.max_receive_message_length", most + HEAD_BYTES),
    ]
    connections = app.server_state.server_limits.max_connections
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=connections)
    server.add_generic_rpc_handlers((Service(app, host).handlers(),))
    return server
