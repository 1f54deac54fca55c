"""Paths that a hosting platform chooses: they lead to endpoints that are there."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from serving.settings.access import PROBES
from serving.settings.platforms import Platform

READY, PREDICT = "/readyz", "/predict"


class Aliases:
    """By method and path, the path that answers. A predict route that an endpoint has already stays that endpoint's."""

    def __init__(self, platform: Platform, routes: Iterable[BaseRoute]) -> None:
        self._paths: dict[tuple[str, str], str] = {}
        if platform.health_route and platform.health_route not in PROBES:
            self._paths |= {(method, platform.health_route): READY for method in ("GET", "HEAD")}
        if platform.predict_route and not any(_takes(route, platform.predict_route) for route in routes):
            self._paths["POST", platform.predict_route] = PREDICT

    def apply(self, scope: Scope) -> None:
        """Before access control and metrics, which know the endpoints by their own paths."""
        if self._paths:
            scope["path"] = self._paths.get((scope["method"], scope["path"]), scope["path"])


def _takes(route: BaseRoute, path: str) -> bool:
    return route.matches({"type": "http", "method": "POST", "path": path})[0] == Match.FULL
