"""AWS Lambda: translates an event to an HTTP request of the app, and the response back. It never imports BentoML.

`parse_event` reads these events:

- Function URL and HTTP API, payload version 2.0: ``{"version": "2.0", "rawPath": …, "requestContext": …, "body": …}``
- REST API and ALB, payload version 1.0: ``{"httpMethod": …, "path": …, "body": …}``
- direct invocation, ``{"inputs": …}``: it returns the bare answer

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
    """A direct invocation was refused: a function error for its caller."""


class Function:
    """The app on its own event loop: started once a container, called once an event."""

    def __init__(self, settings: ServerSettings) -> None:
        self._loop = asyncio.new_event_loop()
        if settings.log != LogSettings():  # by default the log has the runtime's format
            set_up_logs(settings.log, sys.stdout)
        bundles = find_bundles(
            [str(settings.bundle)], threads=settings.threads, limits=settings.limits,
            trusted_key=settings.trusted_key, created_after=settings.created_after,
            load_seconds=settings.server_limits.load_seconds, device=settings.device,
        )  # fmt: skip
        self._app = create_app(
            *bundles,
            server_limits=settings.server_limits, log=settings.log,
            access_policy=settings.access_policy, traces=settings.traces, root_path=settings.root_path,
        )  # fmt: skip
        self._lifespan = self._app.router.lifespan_context(self._app)
        self._loop.run_until_complete(self._lifespan.__aenter__())

    def __call__(self, event: Event, context: object = None) -> Any:
        """Raises InvocationError if a direct invocation is refused."""
        try:
            call = parse_event(event)
        except (ValueError, RecursionError) as error:
            reply = _refuse(error)
        else:
            reply = self._loop.run_until_complete(send(call, self._app))
        self._app.observers.flush()  # Lambda freezes the process between events
        return _to_http(reply) if _is_http(event) else _to_answer(reply)

    def close(self) -> None:
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()


def parse_event(event: Any) -> Call:
    """The HTTP request of an event; raises ValueError or RecursionError for one that is malformed."""
    if not _is_http(event):
        body = json.dumps(event, ensure_ascii=True).encode()
        return Call("POST", "/predict", headers={"content-type": "application/json"}, body=body)
    given = _mapping(event, "headers")
    headers = {name: _text(given, name) for name, value in given.items() if value is not None}
    if event.get("version") == "2.0":
        context = _mapping(event, "requestContext")
        given_path, query = _text(event, "rawPath"), _text(event, "rawQueryString", "")
        path = _without_stage(given_path, context.get("stage"))
        if path != given_path:  # callers send it
            headers = {"x-forwarded-prefix": f"/{context['stage']}", **headers}
        return Call(_text(_mapping(context, "http"), "method"), path, query, headers, _read_body(event))
    query = urlencode(_mapping(event, "multiValueQueryStringParameters"), doseq=True, errors="replace")
    return Call(_text(event, "httpMethod"), _text(event, "path"), query, headers, _read_body(event))


def _is_http(event: Any) -> bool:
    return isinstance(event, dict) and ("requestContext" in event or "httpMethod" in event)


def _mapping(event: Event, name: str) -> dict[str, Any]:
    """Empty for null and for what is not there."""
    value = event.get(name)
    if not isinstance(value, (dict, type(None))):
        raise ValueError(f"the event's {name} is not an object")
    return value or {}


def _text(event: Event, name: str, default: Any = None) -> str:
    value = event.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"the event's {name} is not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the event's {name} holds a lone surrogate") from None
    return value


def _without_stage(path: str, stage: Any) -> str:
    """HTTP APIs put a named stage in front of the path."""
    prefix = f"/{stage}"
    return (path.removeprefix(prefix) or "/") if stage and (path == prefix or path.startswith(prefix + "/")) else path


def _read_body(event: Event) -> bytes:
    body = event.get("body") or ""
    if not isinstance(body, str):  # gateways send text, but people write test events with an object
        body = json.dumps(body)
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")  # the app refuses what is not UTF-8
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise ValueError(f"the event says isBase64Encoded, but its body is not base64: {error}") from error


def _refuse(error: Exception) -> Reply:
    message = "the event is nested too deeply" if isinstance(error, RecursionError) else str(error)
    body = {"error": message, "error_type": "malformed"}
    return Reply(400, {"content-type": "application/json"}, json.dumps(body).encode())


def _to_http(reply: Reply) -> dict[str, Any]:
    binary = reply.headers.get("content-type", "").startswith("application/octet-stream")
    body = base64.b64encode(reply.body) if binary else reply.body
    return {"statusCode": reply.status, "headers": reply.headers, "body": body.decode(), "isBase64Encoded": binary}


def _to_answer(reply: Reply) -> Any:
    answer = json.loads(reply.body)
    if reply.status != 200:
        raise InvocationError(f"{reply.status}: {answer['error']}")
    return answer


_function: Function | None = None


def handler(event: Event, context: object) -> Any:
    """The entry point for ``awslambdaric``."""
    return start()(event, context)


def start() -> Function:
    """Loads the bundle once."""
    global _function
    if _function is None:
        _function = Function(ServerSettings.from_environment())
    return _function


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # load in Lambda's init phase, which has more CPU
    start()
