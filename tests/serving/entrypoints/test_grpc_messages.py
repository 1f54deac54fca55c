"""Messages are parsed only where there is room for them."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import uvloop

from serving.entrypoints.grpc_api.messages import SERVICE, message
from serving.entrypoints.grpc_api.service import Service
from tests.serving.entrypoints.test_grpc_stop import Waiting


def infer_request(text: bytes) -> bytes:
    """A message of one text."""
    request = message("ModelInferRequest")(model_name="a")
    request.inputs.add(name="text", datatype="BYTES", shape=[1]).contents.bytes_contents.append(text)
    return bytes(request.SerializeToString())


async def refusal(*messages: bytes) -> Any:
    """Of the last message, while the others wait for their answers; all may have 10,000 bytes together."""
    app, server = Waiting(), grpc.aio.server()
    server.add_generic_rpc_handlers((Service(app, "a", 10_000).handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(f"/{SERVICE.full_name}/ModelInfer")
        waiting = [asyncio.ensure_future(call(each)) for each in messages[:-1]]
        while app.calls < len(waiting):
            await asyncio.sleep(0.001)
        try:
            await call(messages[-1], timeout=60)
        except grpc.RpcError as error:
            return error
        finally:
            for each in waiting:
                each.cancel()
            await server.stop(None)


def run(*messages: bytes) -> Any:
    """`refusal` on an event loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(refusal(*messages))


def test_messages_have_room_together() -> None:
    """A message too many is refused with the time to try again."""
    error = run(infer_request(b"a" * 6_000), infer_request(b"a" * 6_000))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "the bodies of the requests in hand have 6,0" in error.details()
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"


def test_malformed_message() -> None:
    """Bytes that are no message are the caller's mistake."""
    error = run(b"\xff" * 10)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "the message is no ModelInferRequest" in error.details()
