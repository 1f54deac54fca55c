"""A streamed answer: tokens go from the engine's thread to the event loop and out as server-sent events."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from serving.batching.batcher import Batcher, Timing
from serving.batching.errors import Unanswered
from serving.errors import InputError
from serving.http.errors import status_of
from serving.protocols import Events
from serving.protocols.base import Request
from serving.tasks.base import Encoded
from serving.tasks.generation import Token

_Item = tuple[int, Token] | None
"""A prompt's index and a token of its answer; None at the end."""


class Stream:
    """Generation stops before the next step once the reader has gone."""

    def __init__(self, request: Request, encoded: list[Encoded], events: Events) -> None:
        self._request, self._encoded, self._events = request, encoded, events
        self._prompts = [each.windows[0] for each in encoded]
        self._items: asyncio.Queue[_Item] = asyncio.Queue()
        self._first: _Item = None

    async def begin(
        self, batcher: Batcher, timing: Timing | None = None, deadline: float = math.inf, end: float = math.inf
    ) -> None:
        """Wait for the first token; raises as `Batcher.submit`."""
        loop, put = asyncio.get_running_loop(), self._items.put_nowait
        for index, prompt in enumerate(self._prompts):  # `on_token` is called on the engine's thread
            prompt.on_token = lambda token, index=index: loop.call_soon_threadsafe(put, (index, token))
        self._work = asyncio.create_task(batcher.submit(self._prompts, timing, deadline, end))
        self._work.add_done_callback(lambda _: put(None))
        try:
            self._first = await self._items.get()
        except asyncio.CancelledError:
            self.stop()
            raise
        if self._first is None:
            await self._work

    async def events(self) -> AsyncIterator[bytes]:
        """The caller's errors become the last event; raises the engine's."""
        for event in self._events.opening(self._request, self._encoded):
            yield event
        item, written = self._first, 0
        while item is not None:
            written += 1
            if event := self._events.token(self._request, *item):
                yield event
            item = await self._items.get()
        try:
            await self._work
            for event in self._events.closing(self._request, self._encoded, written):
                yield event
        except (InputError, Unanswered) as error:
            yield self._events.error(status_of(error)[1], str(error))

    def stop(self) -> None:
        """Generate no more."""
        self._work.cancel()
        for prompt in self._prompts:
            prompt.leave()


class StreamResponse(StreamingResponse):
    """Until its end, generation's too, the model stays open."""

    def __init__(self, stream: Stream, model: AbstractContextManager[None], headers: Mapping[str, str] | None) -> None:
        super().__init__(stream.events(), media_type="text/event-stream", headers=headers)
        self._stream, self._model = stream, model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Generation stops if the reader goes, even before the first event."""
        try:
            with self._model:
                await super().__call__(scope, receive, send)
        finally:
            self._stream.stop()
