"""Which requests BentoML gets to see."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.bento.batch_limits import BATCH, BatchLimits
from serving.bento.lazy_app import LazyApp
from serving.http.root_path import strip_root_path
from serving.settings.access import AccessPolicy

if TYPE_CHECKING:
    from serving.bento.batch_door import BatchDoor


class DirectRouting:
    """Sends requests directly to the app, except BentoML's own pages and lifespan events.

    BentoML would accept bodies of any size, add its cost to each request, and answer errors in another format.
    """

    PATHS = frozenset({"/schema.json"})
    PATH_PREFIX = "/static_content/"
    LIVE = "/healthz"

    def __init__(
        self,
        app: ASGIApp,
        lazy_app: LazyApp,
        access_policy: AccessPolicy,
        batch_limits: BatchLimits,
        root_path: str = "",
    ) -> None:
        """``access_policy`` is for BentoML's pages and tasks too."""
        from serving.http.middleware.access import access_middleware  # in the worker only

        self._bentoml, self._lazy_app, self._root_path = app, lazy_app, root_path
        self._batch_limits = batch_limits
        self._pages: ASGIApp = self._answer_page
        for each in reversed(access_middleware(access_policy, access_policy.keys())):
            self._pages = each.cls(self._pages, *each.args, **each.kwargs)

    @cached_property
    def _batches(self) -> BatchDoor:
        from serving.bento.batch_door import BatchDoor  # in the worker only, once the app is there

        return BatchDoor(self._bentoml, self._lazy_app.app, self._batch_limits)

    async def _answer_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._batches if _is_batch(scope["path"]) else self._bentoml)(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._bentoml(scope, receive, send)
            return
        strip_root_path(scope, self._root_path)
        path = scope["path"]
        if path in self.PATHS or path.startswith(self.PATH_PREFIX) or _is_batch(path):
            await self._pages(scope, receive, send)
        elif path == self.LIVE:
            await self._lazy_app.app({**scope, "path": "/livez", "raw_path": b"/livez"}, receive, send)
        else:
            await self._lazy_app.app(scope, receive, send)


def _is_batch(path: str) -> bool:
    return path == BATCH or path.startswith(f"{BATCH}/")
