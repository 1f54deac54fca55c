"""A straight way to the endpoints that answer inputs.

For each request Starlette tries its routes one after the other and wraps the endpoint twice to catch what it raises.
The endpoints here have one path each and raise nothing that it would have to answer, see `serving.app.asking`.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request as HttpRequest
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


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
