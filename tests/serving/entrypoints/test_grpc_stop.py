"""A gRPC server that stops with calls in hand says nothing that looks like a fault."""

from __future__ import annotations

import asyncio
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


async def stop_with_calls_in_hand(grace: float, *, answered: bool) -> None:
    """The event loop ends right after the server, with SystemExit of the callers' statuses: uvicorn's ends with one."""
    app = Waiting()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Service(app, "a").handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = message("ServerLiveRequest")()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(f"/{SERVICE.full_name}/ServerLive", type(request).SerializeToString)
        calls = [call.future(request, timeout=20) for _ in range(CALLS)]
        while app.calls < CALLS:
            await asyncio.sleep(0.001)
        if answered:
            app.answer.set()
        await stop_server(server, grace)
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
