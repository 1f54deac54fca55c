"""A gRPC server that stops with calls in hand says nothing that looks like a fault."""

from __future__ import annotations

import asyncio
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
        calls = [stub.future(request, timeout=20) for _ in range(CALLS)]
        while app.calls < CALLS:
            await asyncio.sleep(0.001)
        yield lambda: stub.future(request, timeout=20), calls, lambda grace: stop_server(server, service, grace)


async def stop_with_calls_in_hand(grace: float, *, answered: bool) -> None:
    """The event loop ends right after the server, with SystemExit of the callers' statuses: uvicorn's ends with one."""
    app = Waiting()
    async with with_calls_in_hand(app) as (_, calls, stop):
        if answered:
            app.answer.set()
        await stop(grace)
        raise SystemExit({each.code() for each in calls})


@pytest.mark.parametrize(
    ("grace", "answered", "codes"),
    [
        pytest.param(0, False, {grpc.StatusCode.UNAVAILABLE}, id="at_once"),
        pytest.param(0.05, False, {grpc.StatusCode.UNAVAILABLE}, id="after_grace"),
        pytest.param(10, True, {grpc.StatusCode.OK}, id="answered"),
    ],
)
def test_stop(
    grace: float, answered: bool, codes: set[Any], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Calls are answered within the grace, or told that the server is gone; nothing is logged."""
    with pytest.raises(SystemExit) as end, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(stop_with_calls_in_hand(grace, answered=answered))
    assert end.value.code == codes
    assert not caplog.records
    assert "Traceback" not in capfd.readouterr().err


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
