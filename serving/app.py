"""The HTTP surface: a plain ASGI app. BentoML mounts it, the Lambda handler calls it, both as it is."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from serving.batcher import Batcher, Overloaded
from serving.dialects import DIALECTS, HUGGING_FACE, Dialect
from serving.errors import InputError, InputTooLarge, MalformedInput
from serving.info import describe
from serving.metrics import Metrics
from serving.openapi import document
from serving.predictor import Predictor
from serving.request import Reply, Request
from serving.stream import Stream
from serving.tasks.base import Encoded

INLINE_CHARACTERS = 4096
"""Texts up to this many characters are tokenised on the event loop: a hop to a thread would cost more."""

PAGE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"

STATUS: dict[type[Exception], tuple[int, str]] = {
    MalformedInput: (400, "malformed"),
    InputTooLarge: (413, "too_large"),
    InputError: (422, "validation"),
    Overloaded: (429, "overloaded"),
}


class Surface:
    """The endpoints over one loaded bundle."""

    def __init__(self, load: Callable[[], Predictor], max_queue: int) -> None:
        self._load = load
        self._max_queue = max_queue
        self.metrics = Metrics()
        self.ready = False

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Load and replay the golden answers first; what was accepted is answered before the end."""
        self._predictor = await asyncio.to_thread(self._load)
        self._batcher = Batcher(self._predictor.run, max_queue=self._max_queue)
        self.metrics.serves(self._predictor.bundle)
        self.ready = True
        try:
            yield
        finally:
            self.ready = False
            await self._batcher.close()

    def speaking(self, dialect: Dialect) -> Callable[[HttpRequest], Awaitable[Response]]:
        """An endpoint that answers requests of a dialect, counted and timed."""

        async def answer(http: HttpRequest) -> Response:
            start, status = time.perf_counter(), 500
            try:
                response = await self._answer(http, dialect)
                status = response.status_code
                return response
            finally:
                self.metrics.requests.labels(status).inc()
                self.metrics.seconds.observe(time.perf_counter() - start)

        return answer

    async def info(self, _: HttpRequest) -> Response:
        """``GET /info``: the model, its labels and limits, the bundle's hash and the verdict of its proof."""
        return JSONResponse(describe(self._predictor.bundle))

    async def page(self, _: HttpRequest) -> Response:
        """``GET /``: a page to try the model on. It loads nothing from anywhere else."""
        return HTMLResponse(PAGE, headers={"Content-Security-Policy": PAGE_POLICY})

    async def livez(self, _: HttpRequest) -> Response:
        """``GET /livez``: the process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _: HttpRequest) -> Response:
        """``GET /readyz``: the bundle is loaded and answers as it did when it was proven."""
        return PlainTextResponse("ready\n") if self.ready else PlainTextResponse("not ready\n", 503)

    async def render_metrics(self, _: HttpRequest) -> Response:
        """``GET /metrics``: Prometheus exposition format."""
        self.metrics.queue.set(self._batcher.depth)
        return Response(self.metrics.render(), media_type=self.metrics.content_type)

    async def openapi(self, _: HttpRequest) -> Response:
        """``GET /openapi.json``: this surface, described."""
        return JSONResponse(document(self._predictor.bundle))

    async def _answer(self, http: HttpRequest, dialect: Dialect) -> Response:
        predictor = self._predictor
        try:
            request = dialect.parse(await self._body(http), predictor.task, predictor.check)
            encoded = await self._encode(request)
            if request.stream and dialect.events:
                stream = Stream(request, encoded, dialect.events)
                await stream.begin(self._batcher)
                self.metrics.inputs.inc(len(encoded))
                return StreamingResponse(stream.events(), media_type="text/event-stream")
            return JSONResponse(dialect.render(predictor.task, request, await self._reply(request, encoded)))
        except (InputError, Overloaded) as error:
            return self._refusal(error)
        except HTTPException as error:
            return await _http_error(http, error)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it; the number is nginx's for a client that went away

    async def _body(self, http: HttpRequest) -> bytes:
        """The body, given up as soon as it is past the limit, so that nobody can fill the memory."""
        content_type = http.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise HTTPException(415, f"send Content-Type: application/json, not {content_type or 'none'}")
        limit = self._predictor.manifest.limits.max_body_bytes
        body = bytearray()
        async for chunk in http.stream():
            body += chunk
            if len(body) > limit:
                raise InputTooLarge(f"the body has more than {limit:,} bytes, the most that is accepted")
        return bytes(body)

    async def _encode(self, request: Request) -> list[Encoded]:
        if request.characters <= INLINE_CHARACTERS:
            encoded = self._predictor.encode(request.items, request.parameters)
        else:
            encoded = await asyncio.to_thread(self._predictor.encode, request.items, request.parameters)
        for each in encoded:
            self.metrics.tokens.observe(sum(len(window.ids) for window in each.windows))
        return encoded

    async def _reply(self, request: Request, encoded: list[Encoded]) -> Reply:
        flat = iter(await self._batcher.submit([window for each in encoded for window in each.windows]))
        results = [[next(flat) for _ in each.windows] for each in encoded]
        task = self._predictor.task
        answers = [task.decode(*each, request.parameters) for each in zip(encoded, results, strict=True)]
        for answer in answers:
            for outcome in task.outcomes(answer):
                self.metrics.outcomes.labels(outcome).inc()
        self.metrics.inputs.inc(len(answers))
        return Reply(encoded, results, answers)

    def _refusal(self, error: Exception) -> Response:
        status, kind = next(STATUS[each] for each in type(error).__mro__ if each in STATUS)
        if status != 429:
            return refusal(status, kind, str(error))
        seconds = max(1, math.ceil(self._batcher.seconds_to_drain))
        return refusal(status, kind, f"{error}; try again in {seconds} s", {"Retry-After": str(seconds)})


def refusal(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error body in the shape of Hugging Face's text-embeddings-inference: ``error`` and ``error_type``."""
    return JSONResponse({"error": message, "error_type": kind}, status, headers)


async def _http_error(_: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, "http", error.detail, dict(error.headers or {}))


async def _server_error(_: HttpRequest, error: Exception) -> Response:
    """Starlette logs the traceback; the caller learns only that it was not the caller's fault."""
    return refusal(500, "backend", "the server failed on this request; its log tells why")


def create_app(load: Callable[[], Predictor], *, max_queue: int = 1024) -> Starlette:
    """The app; ``load`` is called once, at start-up, and may raise BundleError."""
    surface = Surface(load, max_queue)
    routes = [
        *(Route(path, surface.speaking(dialect), methods=["POST"]) for path, dialect in DIALECTS.items()),
        Route("/", surface.speaking(HUGGING_FACE), methods=["POST"]),
        # Before BentoML's own index page, which loads a tag manager from the network.
        Route("/", surface.page, methods=["GET"]),
        Route("/info", surface.info),
        Route("/livez", surface.livez),
        Route("/readyz", surface.readyz),
        Route("/metrics", surface.render_metrics),
        Route("/openapi.json", surface.openapi),
        Route("/docs.json", surface.openapi),  # where BentoML's own documentation page looks
    ]
    handlers = {HTTPException: _http_error, Exception: _server_error}
    app = Starlette(routes=routes, lifespan=surface.lifespan, exception_handlers=handlers)
    app.state.surface = surface
    return app
