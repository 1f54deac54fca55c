"""Which requests BentoML gets to see."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.bento.lazy_app import LazyApp
from serving.http.root_path import strip_root_path
from serving.settings.access import AccessPolicy


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
