"""The app as BentoML mounts it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from serving.bento.changes import warn_of_another_server
from serving.inference.memory import trim_memory

if TYPE_CHECKING:
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
            warn_of_another_server()
            trim_memory()
            yield
