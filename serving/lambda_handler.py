"""AWS Lambda: an event to a call of the HTTP surface and back. Pure translation; it never imports BentoML.

Understood are Function URL and HTTP API events (payload version 2.0), REST API events (1.0), and a plain
``{"inputs": …}`` invocation, which is answered with the bare answer.

Formats: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from typing import Any
from urllib.parse import urlencode

from serving.entrypoints.asgi_client import Call, Reply, send
from serving.http.app import create_app
from serving.http.models.sources import find_bundles
from serving.observability.logs import set_up_logs
from serving.settings.log_settings import LogSettings
from serving.settings.settings import ServerSettings

Event = dict[str, Any]


class InvocationError(Exception):
    """A plain invocation that was refused; Lambda reports it to the caller as the function's error."""


class Function:
    """The app on an event loop of its own, started once a container and called once an event."""

    def __init__(self, settings: ServerSettings) -> None:
        self._loop = asyncio.new_event_loop()
        if settings.log != LogSettings():  # else the runtime's own format
            set_up_logs(settings.log, sys.stdout)
        bundles = find_bundles(
            [str(settings.bundle)], threads=settings.threads, trusted_key=settings.trusted_key, limits=settings.limits
        )
        self._app = create_app(
            *bundles,
            server_limits=settings.server_limits, log=settings.log,
            access_policy=settings.access_policy, traces=settings.traces,
        )  # fmt: skip
        self._lifespan = self._app.router.lifespan_context(self._app)
        self._loop.run_until_complete(self._lifespan.__aenter__())

    def __call__(self, event: Event, context: object = None) -> Any:
        """Answer one event; raises InvocationError for a plain invocation that is refused."""
        if not _is_http(event):
            return _plain_reply(self._send(_plain_call(event)))
        try:
            call = _call_v2(event) if event.get("version") == "2.0" else _call_v1(event)
        except ValueError as error:
            return _http_reply(_malformed_base64(error))
        return _http_reply(self._send(call))

    def close(self) -> None:
        """Stop the app and its loop."""
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()

    def _send(self, call: Call) -> Reply:
        reply = self._loop.run_until_complete(send(call, self._app))
        self._app.observers.flush()  # Lambda freezes the process between two events
        return reply


def _is_http(event: Any) -> bool:
    return isinstance(event, dict) and ("requestContext" in event or "httpMethod" in event)


def _plain_call(event: Any) -> Call:
    body = json.dumps(event, ensure_ascii=True).encode()
    return Call("POST", "/predict", headers={"content-type": "application/json"}, body=body)


def _call_v2(event: Event) -> Call:
    http = event["requestContext"]["http"]
    path = _without_stage(event["rawPath"], event["requestContext"].get("stage"))
    return Call(http["method"], path, event.get("rawQueryString", ""), _headers(event), _body(event))


def _call_v1(event: Event) -> Call:
    query = urlencode(event.get("multiValueQueryStringParameters") or {}, doseq=True)
    return Call(event["httpMethod"], event["path"], query, _headers(event), _body(event))


def _headers(event: Event) -> dict[str, str]:
    """Without those that a hand-made event leaves empty."""
    return {name: value for name, value in (event.get("headers") or {}).items() if value is not None}


def _without_stage(path: str, stage: str | None) -> str:
    """HTTP APIs put a named stage in front of the path; ``$default`` and Function URLs do not."""
    prefix = f"/{stage}"
    return (path.removeprefix(prefix) or "/") if stage and (path == prefix or path.startswith(prefix + "/")) else path


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):  # a hand-made test event: no gateway sends an object, but people do
        body = json.dumps(body)
    return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode("utf-8", "replace")


def _malformed_base64(error: ValueError) -> Reply:
    body = {"error": f"the event says isBase64Encoded, but its body is not base64: {error}", "error_type": "malformed"}
    return Reply(400, {"content-type": "application/json"}, json.dumps(body).encode())


def _http_reply(reply: Reply) -> dict[str, Any]:
    binary = reply.headers.get("content-type", "").startswith("application/octet-stream")
    body = base64.b64encode(reply.body) if binary else reply.body
    return {"statusCode": reply.status, "headers": reply.headers, "body": body.decode(), "isBase64Encoded": binary}


def _plain_reply(reply: Reply) -> Any:
    answer = json.loads(reply.body)
    if reply.status != 200:
        raise InvocationError(f"{reply.status}: {answer['error']}")
    return answer


_function: Function | None = None


def handler(event: Event, context: object) -> Any:
    """The entry point for ``awslambdaric``: ``serving.lambda_handler.handler``."""
    return start()(event, context)


def start() -> Function:
    """Load the bundle once a container."""
    global _function
    if _function is None:
        _function = Function(ServerSettings.from_environment())
    return _function


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # Lambda's init phase has CPU to spare and ten seconds: load in it
    start()
