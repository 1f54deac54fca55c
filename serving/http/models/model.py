"""A served version of a model: a predictor, and a batcher that runs concurrent requests together."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from serving.batching.batcher import Batcher, Timing
from serving.batching.errors import Expired
from serving.batching.line import Line
from serving.batching.turns import Turns
from serving.errors import InputTooLarge
from serving.http.off_loop import off_loop, slices
from serving.inference.predictor import Predictor, item_fields
from serving.observability.model_metrics import ModelMetrics
from serving.protocols.base import Reply, Request
from serving.settings.limits import ServerLimits
from serving.tasks.base import Encoded

INLINE_CHARACTERS, INLINE_WINDOW_CHARACTERS = 4096, 2048
"""Up to this many are tokenised and decoded on the event loop, where a thread would cost more; the second where every
token is decoded."""

SLICE_CHARACTERS = 16_384
"""Of inputs that are tokenised or decoded before another request has its turn: some tens of milliseconds."""


class Model:
    """For one event loop. `close` waits for requests that have it entered."""

    def __init__(self, predictor: Predictor, name: str, metrics: ModelMetrics, server_limits: ServerLimits) -> None:
        self.predictor, self.name, self.metrics = predictor, name, metrics
        self.batcher = Batcher(
            predictor.run_slice,
            shape=predictor.shape,
            bounds=server_limits.bounds,
            workers=server_limits.workers,
            observer=metrics,
            turns=Turns(server_limits.bounds, server_limits.max_cache_bytes) if predictor.runs_in_slices else None,
            interrupt=predictor.interrupt,
        )
        self.explanations = Line(server_limits.max_explanations, self.batcher.background_seconds)
        self._most_tokens = server_limits.bounds.tokens
        self._inline = INLINE_WINDOW_CHARACTERS if predictor.task.uses_windows else INLINE_CHARACTERS
        self._users = 0
        self._left = asyncio.Event()

    def __enter__(self) -> None:
        """Keep it open."""
        self._users += 1

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Allow `close`."""
        self._users -= 1
        self._left.set()

    def is_large(self, request: Request) -> bool:
        """Whether its work is too long for the event loop."""
        return sum(request.sizes) > self._inline

    async def encode(self, request: Request, deadline: float = math.inf) -> list[Encoded]:
        """Each item's windows; raises InputError, Expired."""
        items, parameters = request.items, request.parameters
        fields = request.fields or item_fields(request.field, len(items))
        if not self.is_large(request):
            return self.predictor.encode(items, parameters, fields)
        encoded, tokens = list[Encoded](), 0
        for part in slices(request.sizes, SLICE_CHARACTERS):
            if time.perf_counter() > deadline:
                raise Expired(f"the deadline passed when {len(encoded):,} of {len(items):,} texts were tokenised")
            more, of_them = await off_loop(self._encode, items[part], parameters, fields[part])
            encoded, tokens = encoded + more, tokens + of_them
            if tokens > self._most_tokens and len(items) > 1:  # a lone text may have more than a queue holds
                many = f"`{request.field}` has more than {self._most_tokens:,} tokens, the most that may wait"
                raise InputTooLarge(f"{many} for the engine; send fewer texts in a request", field=request.field)
        return encoded

    def _encode(self, items: list[Any], parameters: Any, fields: Sequence[str]) -> tuple[list[Encoded], int]:
        """With their tokens, counted off the event loop too."""
        encoded = self.predictor.encode(items, parameters, fields)
        return encoded, sum(each.tokens for each in encoded)

    async def answer(
        self,
        request: Request,
        encoded: list[Encoded],
        timing: Timing | None = None,
        deadline: float = math.inf,
        end: float = math.inf,
        *,
        background: bool = False,
    ) -> Reply:
        """Raises as `Batcher.submit`."""
        windows = [window for each in encoded for window in each.windows]
        flat = iter(await self.batcher.submit(windows, timing, deadline, end, background=background))
        results = [[next(flat) for _ in each.windows] for each in encoded]
        if not self.is_large(request):
            return self.decode(request, encoded, results)
        parts = slices(request.sizes, SLICE_CHARACTERS)
        return Reply.join([await off_loop(self.decode, request, encoded[part], results[part]) for part in parts])

    def decode(self, request: Request, encoded: list[Encoded], results: list[list[Any]]) -> Reply:
        """With the model's own answers, where the caller's parameters may have changed them."""
        task, parameters = self.predictor.task, request.parameters
        both = list(zip(encoded, results, strict=True))
        answers = [task.answer(*each, parameters) for each in both]
        if task.score_parameters.isdisjoint(parameters.model_fields_set):
            return Reply(encoded, results, answers, answers)
        return Reply(encoded, results, answers, [task.answer(*each) for each in both])

    async def close(self) -> None:
        """Answer what was accepted, then stop."""
        while self._users:
            self._left.clear()
            await self._left.wait()
        await self.batcher.close()
