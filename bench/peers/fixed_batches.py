"""A peer: batches of up to 32 texts in the order of arrival; a batch waits 5 ms for its 32nd text.

Run as ``python -m bench.peers.fixed_batches BUNDLE PORT``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bench.bare_runtime import BareRuntime
from serving.bundle.bundle import Bundle

ROWS = 32
WAIT_SECONDS = 0.005

Waiting = tuple[list[int], "asyncio.Future[int]"]


class FixedBatches:
    def __init__(self, runtime: BareRuntime) -> None:
        self._runtime = runtime
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()

    async def best(self, text: str) -> int:
        done = asyncio.get_running_loop().create_future()
        await self._queue.put((self._runtime.encode([text])[0], done))
        index: int = await done
        return index

    async def work(self) -> None:
        """Run batches until cancelled."""
        while True:
            batch = [await self._queue.get()]
            until = asyncio.get_running_loop().time() + WAIT_SECONDS
            while len(batch) < ROWS and (other := await self._next(until)):
                batch.append(other)
            self._answer(batch, await asyncio.to_thread(self._runtime.together, [ids for ids, _ in batch]))

    async def _next(self, until: float) -> Waiting | None:
        if not self._queue.empty():
            return self._queue.get_nowait()
        try:
            return await asyncio.wait_for(self._queue.get(), until - asyncio.get_running_loop().time())
        except TimeoutError:
            return None

    def _answer(self, batch: Sequence[Waiting], best: Any) -> None:
        for (_, done), index in zip(batch, best.tolist(), strict=True):
            if not done.done():
                done.set_result(index)


def create_app(bundle: Bundle) -> Starlette:
    """The server: POST / with ``{"inputs": text}``, GET /readyz."""
    batches, labels = FixedBatches(BareRuntime(bundle)), bundle.manifest.labels

    async def predict(request: Request) -> Response:
        return JSONResponse([{"label": labels[await batches.best(json.loads(await request.body())["inputs"])]}])

    async def ready(request: Request) -> Response:
        return PlainTextResponse("ready")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(batches.work())
        yield
        task.cancel()

    routes = [Route("/", predict, methods=["POST"]), Route("/readyz", ready)]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    path, port = sys.argv[1:]
    app = create_app(Bundle.open(Path(path)))
    uvicorn.run(app, port=int(port), log_level="warning", access_log=False, loop="uvloop", http="httptools")
