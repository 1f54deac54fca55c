"""Streamed answers, which awslambdaric lacks: a client of the Runtime API that posts them in chunks.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import logging
from typing import TYPE_CHECKING, Any

from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from serving.entrypoints.asgi_client import Call, Message, headers_of, stream

if TYPE_CHECKING:
    from serving.http.app import App

CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
"""Status and headers as JSON, 8 NUL bytes, the body."""

END_OF_PRELUDE = bytes(8)

ERROR_TYPE, ERROR_BODY = "Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"

logger = logging.getLogger("tuneship")


class ResponseStream:
    """One invocation's response, sent in chunks; OSError or HTTPException where Lambda no longer reads."""

    def __init__(self, address: str, request_id: str, invocation_id: str | None) -> None:
        self._connection = http.client.HTTPConnection(address)
        self._connection.putrequest("POST", f"/2018-06-01/runtime/invocation/{request_id}/response")
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Lambda-Runtime-Function-Response-Mode": "streaming",
            "Transfer-Encoding": "chunked",
            "Trailer": f"{ERROR_TYPE}, {ERROR_BODY}",
            **({"Lambda-Runtime-Invocation-Id": invocation_id} if invocation_id else {}),
        }
        for name, value in headers.items():
            self._connection.putheader(name, value)
        self._connection.endheaders()

    def write(self, data: bytes) -> None:
        if data:  # an empty chunk would end the stream
            self._connection.send(b"%x\r\n%b\r\n" % (len(data), data))

    def finish(self, error: str = "") -> None:
        """With ``error`` callers learn that the answer is not whole."""
        body = json.dumps({"errorType": "Runtime.StreamError", "errorMessage": error}).encode()
        trailers = f"{ERROR_TYPE}: Runtime.StreamError\r\n{ERROR_BODY}: {base64.b64encode(body).decode()}\r\n"
        try:
            self._connection.send(f"0\r\n{trailers if error else ''}\r\n".encode())
            response = self._connection.getresponse()
            response.read()
        finally:
            self._connection.close()
        if response.status != 202:
            logger.error("Lambda refused a streamed answer: %d", response.status)


class StreamedReply:
    """Of a call that is made when the reply is sent."""

    def __init__(self, call: Call, app: App, loop: asyncio.AbstractEventLoop) -> None:
        self._call, self._app, self._loop = call, app, loop
        self._whole = False

    def send_to(self, response: ResponseStream) -> None:
        """The engine goes on while Lambda reads."""
        try:
            self._loop.run_until_complete(self._send(response))
        finally:
            self._app.observers.flush()

    async def _send(self, response: ResponseStream) -> None:
        gone = asyncio.Event()

        async def respond(message: Message) -> None:
            if gone.is_set():
                return
            try:
                await asyncio.to_thread(response.write, self._encode(message))
            except (OSError, http.client.HTTPException):
                gone.set()  # the app hears of it, and stops to generate

        await stream(self._call, self._app, respond, gone)
        if not gone.is_set():
            response.finish("" if self._whole else "the server failed on this request; its log tells why")

    def _encode(self, message: Message) -> bytes:
        if message["type"] == "http.response.start":
            headers = {name: value for name, value in headers_of(message).items() if name != "content-length"}
            return json.dumps({"statusCode": message["status"], "headers": headers}).encode() + END_OF_PRELUDE
        self._whole = not message.get("more_body", False)
        data: bytes = message.get("body", b"")
        return data


class Marshaller(LambdaMarshaller):  # type: ignore[misc]  # awslambdaric has no types
    """Leaves streamed replies as they are."""

    def marshal_response(self, response: Any) -> tuple[Any, str]:
        if isinstance(response, StreamedReply):
            return response, CONTENT_TYPE
        marshalled: tuple[Any, str] = super().marshal_response(response)
        return marshalled


class RuntimeClient(LambdaRuntimeClient):  # type: ignore[misc]
    """awslambdaric's, with streamed replies."""

    marshaller = Marshaller()

    def post_invocation_result(
        self,
        invoke_id: str,
        result_data: Any,
        content_type: str = "application/json",
        invocation_id: str | None = None,
    ) -> None:
        if not isinstance(result_data, StreamedReply):
            super().post_invocation_result(invoke_id, result_data, content_type, invocation_id)
            return
        try:
            result_data.send_to(ResponseStream(self.lambda_runtime_address, invoke_id, invocation_id))
        except (OSError, http.client.HTTPException) as error:
            logger.error("a streamed answer was not sent to Lambda: %s", error)
