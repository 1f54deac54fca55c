"""Generation ends with its caller, its time or the server, and holds up nobody else."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.bundle.bundle import Bundle
from serving.entrypoints.asgi_client import Call, Reply, send
from serving.http.app import App, create_app
from serving.inference.generation import kv_cache
from serving.inference.predictor import Predictor
from serving.settings.limits import ServerLimits
from tests.serving.processes import serving

ENDLESS = {"max_new_tokens": 4096, "min_new_tokens": 4096, "do_sample": True, "num_return_sequences": 16}
BEAMS = {"max_new_tokens": 4096, "min_new_tokens": 4096, "num_beams": 16, "early_stopping": "never"}
"""Hours on any machine."""

TENSOR = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}


def hours(path: str) -> dict[str, Any]:
    """A body that asks for them."""
    if path == "/v1/completions":
        return {"prompt": ["where is my parcel?"] * 16, "n": 16, "max_tokens": 4096, "temperature": 1e9, "stream": True}
    if path.endswith("/infer"):
        return {"inputs": [TENSOR], "parameters": ENDLESS}
    return {"inputs": "a", "parameters": BEAMS if path == "/" else ENDLESS}


class Steps:
    """How often a graph was run."""

    count = 0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        run = kv_cache._CachedGraph.run

        def counting(*arguments: Any) -> Any:
            self.count += 1
            return run(*arguments)

        monkeypatch.setattr(kv_cache._CachedGraph, "run", counting)

    async def begin(self) -> None:
        """Some more are run."""
        count = self.count
        while self.count < count + 5:
            await asyncio.sleep(0.002)

    async def end(self) -> None:
        """No more are run, soon."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            count = self.count
            await asyncio.sleep(0.05)
            if count == self.count:
                return
        pytest.fail("generation goes on")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


@pytest.fixture(scope="module")
def bundle(task_bundle: Callable[[str], Path]) -> Path:
    """An encoder and a decoder of relative positions, whose answers may have any length."""
    return task_bundle("text2text-generation")


@asynccontextmanager
async def running(bundle: Path, **limits: Any) -> AsyncIterator[App]:
    app = create_app(lambda: Predictor(Bundle.open(bundle)), server_limits=ServerLimits(**limits))
    async with asyncio.timeout(60), app.router.lifespan_context(app):
        yield app


async def post(app: App, path: str, body: Any, **headers: str) -> Reply:
    headers = {"content-type": "application/json", "host": "a", **headers}
    return await send(Call("POST", path, headers=headers, body=json.dumps(body).encode()), app)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


async def model_path(app: App) -> str:
    return f"/v2/models/{app.server_state.models.default.name}/infer"


WAYS = [("disconnect", path) for path in ("/predict", "/", "/invocations", "/v1/completions", "infer")]
WAYS += [("cancel", path) for path in ("/v1/completions", "infer")]


@pytest.mark.parametrize(("way", "path"), WAYS)
def test_a_caller_that_goes(bundle: Path, steps: Steps, path: str, way: str) -> None:
    """Its generation stops, by the disconnect of HTTP and by the cancellation of gRPC; the next is answered."""

    async def main() -> None:
        async with running(bundle) as app:
            at = await model_path(app) if path == "infer" else path
            gone = asyncio.Event()
            body = [{"type": "http.request", "body": json.dumps(hours(at)).encode(), "more_body": False}]

            async def receive() -> Any:
                if body:
                    return body.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            async def ignore(_: Any) -> None:
                await asyncio.sleep(0)

            headers = {"content-type": "application/json", "host": "a"}
            task = asyncio.create_task(app(Call("POST", at, headers=headers).scope(), receive, ignore))  # type: ignore[arg-type]
            await steps.begin()
            if way == "cancel":
                task.cancel()
            gone.set()
            await asyncio.wait([task])
            await steps.end()
            answer = await post(app, "/predict", {"inputs": "a", "parameters": {"max_new_tokens": 2}})
            assert answer.status == 200

    run(main)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "path"),
    [
        ("header", "/predict"),
        ("header", "infer"),
        ("server", "/"),
        ("header", "/v1/completions"),
        ("server", "/v1/completions"),
    ],
)
def test_a_time_that_is_over(bundle: Path, steps: Steps, path: str, by: str) -> None:
    """504, or the last event of a stream, which has begun with 200; it says what to do."""

    async def main() -> None:
        async with running(bundle, **({"generation_seconds": 0.3} if by == "server" else {})) as app:
            at = await model_path(app) if path == "infer" else path
            headers = {"request-timeout": "0.3"} if by == "header" else {}
            answer = await post(app, at, hours(at), **headers)
            if path == "/v1/completions":
                *_, last = answer.body.decode().removesuffix("\n\n").split("\n\n")
                error = json.loads(last.removeprefix("data: "))["error"]
                assert (answer.status, error["type"]) == (200, "timeout")
                message = error["message"]
            else:
                assert answer.status == 504
                message = json.loads(answer.body)["error"]
            assert "ask for fewer tokens" in message
            await steps.end()

    run(main)


@pytest.mark.slow
def test_others_do_not_wait(bundle: Path) -> None:
    """Beside an endless generation and a request of many prompts, another is answered as when alone, and first."""

    async def main() -> None:
        async with running(bundle) as app:
            short = {"inputs": "where is my parcel?", "parameters": {"max_new_tokens": 16, "min_new_tokens": 16}}
            alone = await post(app, "/predict", short)
            many = {"inputs": ["a"] * 100, "parameters": ENDLESS}
            tasks = [asyncio.create_task(post(app, "/predict", body)) for body in (hours("/predict"), many)]
            await asyncio.sleep(0.3)
            for _ in range(5):
                assert (await post(app, "/predict", short)).body == alone.body
            assert not any(task.done() for task in tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    run(main)


@pytest.mark.slow
def test_memory(bundle: Path) -> None:
    """What never fits is refused, and says what to change; what fits is answered, one after another if need be."""

    async def main() -> None:
        async with running(bundle, max_cache_bytes=400_000) as app:
            fits = {"max_new_tokens": 64, "min_new_tokens": 64, "num_beams": 4}  # 512 bytes a token of an answer
            answers = await asyncio.gather(
                *(post(app, "/predict", {"inputs": "a", "parameters": fits}) for _ in range(6))
            )
            assert [answer.status for answer in answers] == [200] * 6
            for parameters in ({**fits, "num_beams": 16}, {**fits, "max_new_tokens": 400}):
                answer = await post(app, "/predict", {"inputs": "a", "parameters": parameters})
                assert answer.status == 413
                assert "MB for their keys and values" in json.loads(answer.body)["error"]
            body = {"prompt": "a", "max_tokens": 1000, "stream": True}
            assert (await post(app, "/v1/completions", body)).status == 413

    run(main)


@pytest.mark.slow
def test_a_stream_keeps_its_version_open(bundle: Path, steps: Steps) -> None:
    """A model that is replaced is closed when its last stream has ended, and not before."""

    async def main() -> None:
        async with running(bundle) as app:
            model = app.server_state.models.default.model
            body = {"prompt": "where is my parcel?", "max_tokens": 300, "temperature": 1e9, "n": 4, "stream": True}
            stream = asyncio.create_task(post(app, "/v1/completions", body))
            await steps.begin()
            await asyncio.sleep(0.01)
            assert not stream.done()
            closing = asyncio.create_task(model.close())
            assert (await stream).body.endswith(b"data: [DONE]\n\n")
            await closing

    run(main)


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [ENDLESS, BEAMS], ids=["draws", "beams"])
def test_sigterm(bundle: Path, tmp_path: Path, parameters: dict[str, Any]) -> None:
    """The grace is for accepted requests; after it the server ends, whatever they ask."""
    body = json.dumps({"inputs": "a", "parameters": parameters}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with (
        serving(bundle, folder=tmp_path, TUNESHIP_GRACE_SECONDS=1) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection,
    ):
        connection.sendall(head.encode() + body)
        time.sleep(0.5)
        begun = time.monotonic()
        assert server.stop(20) == 0  # by default the grace alone is longer
        assert time.monotonic() - begun >= 1
        assert connection.recv(100).startswith(b"HTTP/1.1 503 ")
