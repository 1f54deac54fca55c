"""Expensive requests one after another, each admitted with its whole cost before anything of it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from serving.batching.errors import Expired, Overloaded


class Line:
    """At most ``most`` at a time, in the order they come; for one event loop."""

    def __init__(self, most: int, seconds_for: Callable[[int], float]) -> None:
        """``seconds_for`` estimates how long so many tokens take."""
        self._free, self._seconds_for = asyncio.Semaphore(most), seconds_for
        self._tokens = 0

    @asynccontextmanager
    async def take(self, tokens: int, deadline: float) -> AsyncIterator[None]:
        """The context is entered at its turn. ``deadline`` is a time of `time.perf_counter`.

        Raises Overloaded where it could not end in time behind those before it; alone it is always accepted, so that a
        wrong estimate gets corrected. Raises Expired where its turn does not come in time.
        """
        self.admit(deadline, tokens)
        self._tokens, waits = self._tokens + tokens, self._free.locked()
        try:
            await self._wait(deadline - time.perf_counter())
            try:
                if waits:  # what was estimated before its turn may be wrong by now
                    self._require_time(tokens, deadline)
                yield
            finally:
                self._free.release()
        finally:
            self._tokens -= tokens

    def admit(self, deadline: float, tokens: int = 1) -> None:
        """Raise Overloaded if so many tokens would be refused; also to call before reading a request."""
        if self._tokens:
            self._require_time(self._tokens + tokens, deadline)

    def _require_time(self, tokens: int, deadline: float) -> None:
        seconds, available = self._seconds_for(tokens), deadline - time.perf_counter()
        if seconds > available:
            takes = f"{tokens:,} tokens of explanations take {seconds:.3g} s at the current throughput"
            raise Overloaded(f"{takes}: the request would miss its deadline in {available:.3g} s", seconds - available)

    async def _wait(self, available: float) -> None:
        try:
            async with asyncio.timeout(available):
                await self._free.acquire()
        except TimeoutError as error:
            raise Expired("the deadline passed before the explanation's turn") from error
