"""A streamed answer: tokens hop from the engine's thread to the event loop, and out as server-sent events."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator
from functools import partial

from serving.batching.batcher import Batcher
from serving.batching.timing import Timing
from serving.protocols import Events
from serving.protocols.base import Request
from serving.tasks.base import Encoded
from serving.tasks.generation import Token

_Piece = tuple[int, Token] | None
"""A prompt's number and a token of its answer; None when all is said."""


class Stream:
    """One request's tokens as they come. When nobody reads them any more, the engine is told to stop."""

    def __init__(self, request: Request, encoded: list[Encoded], events: Events) -> None:
        self._request, self._encoded, self._events = request, encoded, events
        self._pieces: asyncio.Queue[_Piece] = asyncio.Queue()
        self._gone = threading.Event()
        self._first: _Piece = None

    async def begin(self, batcher: Batcher, timing: Timing | None = None, deadline: float = math.inf) -> None:
        """Begin to generate and wait for the first token; raises what the engine or a full queue raises until then."""
        self._listen(asyncio.get_running_loop())
        windows = [each.windows[0] for each in self._encoded]
        self._work = asyncio.create_task(batcher.submit(windows, timing, deadline))
        self._work.add_done_callback(lambda _: self._pieces.put_nowait(None))
        try:
            self._first = await self._pieces.get()
        except asyncio.CancelledError:
            self._stop()
            raise
        if self._first is None:
            await self._work

    async def events(self) -> AsyncIterator[bytes]:
        """The events, to the last."""
        try:
            for event in self._events.opening(self._request, self._encoded):
                yield event
            piece = self._first
            while piece is not None:
                if event := self._events.token(self._request, *piece):
                    yield event
                piece = await self._pieces.get()
            await self._work
            yield self._events.closing()
        finally:
            self._stop()

    def _stop(self) -> None:
        """Drop the prompts that wait, and stop at the next token of those that run."""
        self._gone.set()
        self._work.cancel()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        for number, each in enumerate(self._encoded):
            for prompt in each.windows:
                prompt.on_token = partial(self._hop, loop, number)
                prompt.should_stop = self._gone.is_set

    def _hop(self, loop: asyncio.AbstractEventLoop, number: int, token: Token) -> None:
        """Called on the engine's thread."""
        loop.call_soon_threadsafe(self._pieces.put_nowait, (number, token))
