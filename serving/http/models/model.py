"""A served version of a model: a predictor, and a batcher that runs concurrent requests together."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType

from serving.batching.batcher import Batcher, Timing
from serving.inference.predictor import Predictor
from serving.observability.model_metrics import ModelMetrics
from serving.protocols.base import Reply, Request
from serving.settings.limits import ServerLimits
from serving.tasks.base import Encoded

INLINE_CHARACTERS = 4096
"""Up to this many are tokenized on the event loop, where a thread would cost more."""


class Model:
    """For one event loop. `close` waits for requests that have it entered."""

    def __init__(self, predictor: Predictor, name: str, metrics: ModelMetrics, server_limits: ServerLimits) -> None:
        self.predictor, self.name, self.metrics = predictor, name, metrics
        self.batcher = Batcher(
            predictor.run_batch_finite,
            shape=predictor.shape,
            bounds=server_limits.bounds,
            workers=server_limits.workers,
            observer=metrics,
        )
        self._users = 0
        self._left = asyncio.Event()

    def __enter__(self) -> None:
        """Keep it open."""
        self._users += 1

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Allow `close`."""
        self._users -= 1
        self._left.set()

    async def encode(self, request: Request) -> list[Encoded]:
        """Each item's windows."""
        if request.characters <= INLINE_CHARACTERS and self.predictor.has_tokenizer(request.parameters):
            return self.predictor.encode(request.items, request.parameters)
        return await asyncio.to_thread(self.predictor.encode, request.items, request.parameters)

    async def answer(
        self, request: Request, encoded: list[Encoded], timing: Timing | None = None, deadline: float = math.inf
    ) -> Reply:
        """Raises as `Batcher.submit`."""
        windows = [window for each in encoded for window in each.windows]
        flat = iter(await self.batcher.submit(windows, timing, deadline))
        results = [[next(flat) for _ in each.windows] for each in encoded]
        decode = self.predictor.task.decode
        answers = [decode(*each, request.parameters) for each in zip(encoded, results, strict=True)]
        return Reply(encoded, results, answers)

    async def close(self) -> None:
        """Answer what was accepted, then stop."""
        while self._users:
            self._left.clear()
            await self._left.wait()
        await self.batcher.close()
