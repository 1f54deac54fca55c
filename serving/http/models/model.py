"""One version of a served model: its predictor answers, its batcher gathers what concurrent requests ask of it."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

from serving.batching.batcher import Batcher
from serving.batching.timing import Timing
from serving.inference.predictor import Predictor
from serving.observability.metrics import ModelMetrics
from serving.protocols.base import Reply, Request
from serving.settings.limits import ServerLimits
from serving.tasks.base import Encoded

INLINE_CHARACTERS = 4096
"""Texts up to this many characters are tokenised on the event loop: a hop to a thread would cost more."""


class Model:
    """A predictor behind a batcher. Every method is called on the event loop that it was made on.

    As a context it is kept from being closed: from when a request has chosen it until the batcher knows all of it.
    """

    def __init__(self, predictor: Predictor, name: str, metrics: ModelMetrics, server_limits: ServerLimits) -> None:
        self.predictor, self.name, self.metrics = predictor, name, metrics
        self.batcher = Batcher(
            predictor.run_batch_finite,
            shape=predictor.shape,
            bounds=server_limits.bounds,
            workers=server_limits.workers,
            observer=metrics,
        )
        self._holds = 0
        self._released = asyncio.Event()

    def __enter__(self) -> None:
        """Hold it."""
        self._holds += 1

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Let go of it."""
        self._holds -= 1
        self._released.set()

    async def encode(self, request: Request) -> list[Encoded]:
        """The windows of each of a request's items."""
        if request.characters <= INLINE_CHARACTERS and self.predictor.has_tokenizer(request.parameters):
            return self.predictor.encode(request.items, request.parameters)
        return await asyncio.to_thread(self.predictor.encode, request.items, request.parameters)

    async def reply(
        self, request: Request, encoded: list[Encoded], timing: Timing | None = None, deadline: float = math.inf
    ) -> Reply:
        """The engine's results and the answers; raises what `Batcher.submit` raises."""
        windows = [window for each in encoded for window in each.windows]
        flat = iter(await self.batcher.submit(windows, timing, deadline))
        results = [[next(flat) for _ in each.windows] for each in encoded]
        decode = self.predictor.task.decode
        answers = [decode(*each, request.parameters) for each in zip(encoded, results, strict=True)]
        return Reply(encoded, results, answers)

    async def close(self) -> None:
        """Finish what was accepted."""
        while self._holds:
            self._released.clear()
            await self._released.wait()
        await self.batcher.close()
