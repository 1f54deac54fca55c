"""A gRPC server that stops with calls in hand says nothing that looks like a fault."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import uvloop
from starlette.types import Receive, Scope, Send

from serving.entrypoints.grpc_api.messages import SERVICE, message
from serving.entrypoints.grpc_api.server import stop_server
from serving.entrypoints.grpc_api.service import Service

CALLS = 64


class Waiting:
    """An app that answers when it is told to."""

    def __init__(self) -> None:
        self.calls, self.answer = 0, asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then answer 200."""
        self.calls += 1
        await self.answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def with_calls_in_hand(
    app: Waiting,
) -> AsyncIterator[tuple[Callable[[], Any], list[Any], Callable[[float], Any]]]:
    """What makes another call, the calls, and what stops the server."""
    service, server = Service(app, "a"), grpc.aio.server()
    server.add_generic_rpc_handlers((service.handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = message("ServerLiveRequest")()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = channel.unary_unary(f"/{SERVICE.full_name}/ServerLive", type(request).SerializeToString)
        calls = [stub.future(request, timeout=60) for _ in range(CALLS)]
        while app.calls < CALLS:
            await asyncio.sleep(0.001)
        yield lambda: stub.future(request, timeout=60), calls, lambda grace: stop_server(server, service, grace)


async def stop_with_calls_in_hand(grace: float, *, answered: bool) -> None:
    """The event loop ends right after the server, with SystemExit: uvicorn's ends with one."""
    app = Waiting()
    async with with_calls_in_hand(app) as (_, calls, stop):
        if answered:
            app.answer.set()
        await stop(grace)
        print(*{each.code().name for each in calls}, flush=True)
        raise SystemExit


def run_until_stopped(grace: float, answered: str) -> None:
    """A server's whole process: gRPC hands what an earlier event loop of a process left to the next one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(stop_with_calls_in_hand(grace, answered=answered == "answered"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grace", "answered", "status"),
    [
        pytest.param(0, False, "UNAVAILABLE", id="at_once"),
        pytest.param(0.05, False, "UNAVAILABLE", id="after_grace"),
        pytest.param(10, True, "OK", id="answered"),
    ],
)
def test_stop(grace: float, answered: bool, status: str) -> None:
    """Calls are answered within the grace, or told that the server is gone; no traceback is logged."""
    command = [sys.executable, "-m", __name__, str(grace), "answered" if answered else "waiting"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert process.stdout.split() == [status]
    assert "Traceback" not in process.stderr, process.stderr


def test_new_calls_are_refused() -> None:
    """While accepted calls are answered, new ones are told to go elsewhere."""

    async def main() -> None:
        app = Waiting()
        async with with_calls_in_hand(app) as (call, calls, stop):
            stopping = asyncio.create_task(stop(10))
            await asyncio.sleep(0.01)
            error = await asyncio.to_thread(call().exception)
            assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "the server is stopping")
            assert not any(each.done() for each in calls)
            app.answer.set()
            await stopping
            assert {each.code() for each in calls} == {grpc.StatusCode.OK}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


if __name__ == "__main__":
    run_until_stopped(float(sys.argv[1]), sys.argv[2])
