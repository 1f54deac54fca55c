"""The app's replies to what Lambda returns: for HTTP, for a load balancer, bare; and none that Lambda would drop."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Any

from serving.entrypoints.asgi_client import Call, Reply
from serving.entrypoints.aws_lambda.events import Event, is_http, is_load_balancer
from serving.http.errors import error_response
from serving.protocols.openai_models import speaks_openai

MOST_BYTES = 6 * 2**20
"""Of a result, as JSON: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

MOST_BYTES_TO_LOAD_BALANCER = 2**20

LONGEST_ESCAPE = 6
"""Characters of JSON for a byte of text."""

RESERVED = 64 * 1024
"""For headers, when a size is estimated."""

PHRASES = {each.value: each.phrase for each in HTTPStatus}


class InvocationError(Exception):
    """A direct invocation was refused: a function error for its caller."""


def refuse(error: Exception) -> Reply:
    """An event that is no request."""
    message = "the event is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return _error(400, "malformed", message.encode("utf-8", "backslashreplace").decode(), "")


def result_of(event: Event, call: Call | None, reply: Reply) -> Any:
    """What the function returns; raises InvocationError if a direct invocation is refused."""
    to_result = _to_http if is_http(event) else _to_answer
    result = to_result(event, reply)
    most = MOST_BYTES_TO_LOAD_BALANCER if is_http(event) and is_load_balancer(event) else MOST_BYTES
    if len(reply.body) * LONGEST_ESCAPE + RESERVED <= most or (size := len(json.dumps(result))) <= most:
        return result
    return to_result(event, _error(413, "too_large", _explain_size(size, most), call.path if call else ""))


def _explain_size(size: int, most: int) -> str:
    told = f"the answer has {size:,} bytes, and AWS Lambda returns at most {most:,}"
    return f"{told}; send fewer inputs in a request, or ask for fewer labels (top_k)"


def _to_http(event: Event, reply: Reply) -> dict[str, Any]:
    binary = reply.headers.get("content-type", "").startswith("application/octet-stream")
    body = (base64.b64encode(reply.body) if binary else reply.body).decode()
    result = {"statusCode": reply.status, "headers": reply.headers, "body": body, "isBase64Encoded": binary}
    if not is_load_balancer(event):
        return result
    if "multiValueHeaders" in event:  # then it reads no others
        del result["headers"]
        result["multiValueHeaders"] = {name: [value] for name, value in reply.headers.items()}
    return {**result, "statusDescription": f"{reply.status} {PHRASES.get(reply.status, '')}".rstrip()}


def _to_answer(_: Event, reply: Reply) -> Any:
    answer = json.loads(reply.body)
    if reply.status != 200:
        raise InvocationError(f"{reply.status}: {answer['error']}")
    return answer


def _error(status: int, kind: str, message: str, path: str) -> Reply:
    response = error_response(status, kind, message, openai=speaks_openai(path))
    return Reply(status, {"content-type": "application/json"}, bytes(response.body))
