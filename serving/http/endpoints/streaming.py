"""A streamed answer: tokens go from the engine's thread to the event loop and out as server-sent events."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator

from serving.batching.batcher import Batcher, Timing
from serving.protocols import Events
from serving.protocols.base import Request
from serving.tasks.base import Encoded
from serving.tasks.generation import Token

_Item = tuple[int, Token] | None
"""A prompt's index and a token of its answer; None at the end."""


class Stream:
    """Generation stops at the next token once the reader has gone."""

    def __init__(self, request: Request, encoded: list[Encoded], events: Events) -> None:
        self._request, self._encoded, self._events = request, encoded, events
        self._items: asyncio.Queue[_Item] = asyncio.Queue()
        self._stopped = threading.Event()
        self._first: _Item = None

    async def begin(self, batcher: Batcher, timing: Timing | None = None, deadline: float = math.inf) -> None:
        """Wait for the first token; raises as `Batcher.submit`."""
        loop, put = asyncio.get_running_loop(), self._items.put_nowait
        windows = [each.windows[0] for each in self._encoded]
        for index, prompt in enumerate(windows):  # `on_token` is called on the engine's thread
            prompt.on_token = lambda token, index=index: loop.call_soon_threadsafe(put, (index, token))
            prompt.should_stop = self._stopped.is_set
        self._work = asyncio.create_task(batcher.submit(windows, timing, deadline))
        self._work.add_done_callback(lambda _: put(None))
        try:
            self._first = await self._items.get()
        except asyncio.CancelledError:
            self._stop()
            raise
        if self._first is None:
            await self._work

    async def events(self) -> AsyncIterator[bytes]:
        """Raises the engine's error."""
        try:
            for event in self._events.opening(self._request, self._encoded):
                yield event
            item = self._first
            while item is not None:
                if event := self._events.token(self._request, *item):
                    yield event
                item = await self._items.get()
            await self._work
            yield self._events.closing()
        finally:
            self._stop()

    def _stop(self) -> None:
        self._stopped.set()
        self._work.cancel()
