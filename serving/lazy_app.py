"""An app that is made in the process that serves it, for `bentoml serve` loads the service in a parent process too.

The parent only watches its worker, and would hold the app, onnxruntime and all, in memory for nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from serving.inference.memory import trim_memory

if TYPE_CHECKING:
    from serving.http.app import App


class LazyApp(Starlette):
    """Stands for an app. It is a Starlette because BentoML starts and ends no other."""

    def __init__(self, make: Callable[[], App]) -> None:
        """``make`` is called when the app is first looked at."""
        super().__init__(lifespan=self._while_serving)
        self._make = make

    @cached_property
    def app(self) -> App:
        """The app itself."""
        return self._make()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await self.app(scope, receive, send)

    @asynccontextmanager
    async def _while_serving(self, _: Starlette) -> AsyncIterator[None]:
        async with self.app.router.lifespan_context(self.app):
            trim_memory()
            yield
