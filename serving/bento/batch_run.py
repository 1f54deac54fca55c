"""A batch's answers: by the served model's batcher, in the background lane, so that other requests go first."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.responses import Response

from serving.batching.errors import Overloaded, Unanswered, Unavailable
from serving.bento.batch_body import check_rows
from serving.bento.batch_limits import BatchLimits
from serving.errors import InputError, InputTooLarge
from serving.http.errors import JSONResponse, respond
from serving.http.models.model import SLICE_CHARACTERS, Model
from serving.http.off_loop import off_loop, slices
from serving.http.state import ServerState
from serving.protocols.base import Request

ROWS_AT_ONCE = 128
AT_ONCE = 2
"""Parts of a batch: one is tokenised or decoded while the engine runs another."""

LEAST_WAIT = 0.1
"""Seconds after which a refused part is tried again."""


class BatchRunner:
    """Runs one batch after the other."""

    def __init__(self, state: ServerState, limits: BatchLimits) -> None:
        self._state, self._limits, self._turn = state, limits, asyncio.Lock()

    async def answer(self, inputs: Any, parameters: Any) -> Response:
        """A JSON list of answers in the order of the rows, or an error."""
        try:
            async with self._turn:
                return Response(await self._answer(inputs, parameters), media_type="application/json")
        except (InputError, Unanswered) as error:
            return respond(error)

    async def _answer(self, inputs: Any, parameters: Any) -> bytes:
        model = self._state.models.default.model  # one version answers all rows
        with model:
            content = {"inputs": inputs, "parameters": parameters}
            items, checked = await off_loop(check_rows, content, model.predictor.task, self._limits.rows)
            parts, size = [], 0
            async for part in self._parts(model, Request(items, False, checked)):
                parts.append(part)
                size += len(part) + 1
                if size > self._limits.answer_bytes:
                    raise InputTooLarge(
                        f"the answers have more than {self._limits.answer_bytes:,} bytes, the most of a batch; send"
                        " fewer rows, or ask for less of each, as by parameters.top_k"
                    )
            return b"[" + b",".join(parts) + b"]"

    async def _parts(self, model: Model, batch: Request) -> AsyncIterator[bytes]:
        """The answers of each part, in order."""
        ahead = deque[asyncio.Task[bytes]]()
        try:
            for part in _split(batch):
                ahead.append(asyncio.create_task(self._answer_part(model, part)))
                if len(ahead) == AT_ONCE:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()

    async def _answer_part(self, model: Model, part: Request) -> bytes:
        """Its answers as JSON, without brackets; raises InputError, Unanswered."""
        while True:
            if self._state.draining:
                raise Unavailable("the server is stopping, and its batches with it; send the batch again")
            try:
                return await _ask(model, part)
            except Overloaded as error:
                await asyncio.sleep(max(LEAST_WAIT, error.seconds))


async def _ask(model: Model, part: Request) -> bytes:
    start = time.perf_counter()
    encoded = await model.encode(part)
    model.metrics.count_tokenized(encoded, time.perf_counter() - start)
    reply = await model.answer(part, encoded, background=True)
    model.metrics.count_answers(reply)
    return await off_loop(lambda: bytes(JSONResponse(reply.answers).body)[1:-1])


def _split(batch: Request) -> Iterator[Request]:
    """At most ROWS_AT_ONCE rows and about SLICE_CHARACTERS characters each."""
    most = max(SLICE_CHARACTERS // ROWS_AT_ONCE, 1)
    for part in slices([max(size, most) for size in batch.sizes], SLICE_CHARACTERS):
        fields = [f"inputs[{index}]" for index in range(part.start, part.stop)]
        yield Request(batch.items[part], False, batch.parameters, fields=fields)
