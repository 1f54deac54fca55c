"""Events to HTTP requests, see docs/deploy/lambda-function.md.

Formats: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import urlencode

from serving.entrypoints.asgi_client import Call

Event = dict[str, Any]

WARMERS = frozenset({"aws.events", "serverless-plugin-warmup"})
"""What EventBridge's rules and the Serverless Framework's plugin name as an event's source."""

PARAMETER = re.compile(r"\{([^{}+]+)\+?\}")
"""In a route, such as ``/{proxy+}``."""


def is_warm_up(event: Any) -> bool:
    """Whether a schedule called, to keep an environment alive."""
    if not isinstance(event, dict) or "inputs" in event:
        return False
    source = event.get("source")
    named = isinstance(source, str) and source in WARMERS
    return named or event.get("warmup") is True or event.get("warmer") is True


def is_http(event: Any) -> bool:
    return isinstance(event, dict) and ("requestContext" in event or "httpMethod" in event)


def is_queue(event: Any) -> bool:
    """Whether SQS delivers messages."""
    records = event.get("Records") if isinstance(event, dict) else None
    return isinstance(records, list) and any(
        isinstance(each, dict) and each.get("eventSource") == "aws:sqs" for each in records
    )


def is_load_balancer(event: Event) -> bool:
    context = event.get("requestContext")
    return isinstance(context, dict) and "elb" in context


def parse_event(event: Any) -> Call:
    """The HTTP request of an event; raises ValueError or RecursionError for one that is malformed."""
    if not is_http(event):
        body = json.dumps(event, ensure_ascii=True).encode()
        return Call("POST", "/predict", headers={"content-type": "application/json"}, body=body)
    context, headers = _mapping(event, "requestContext"), _headers(event)
    if event.get("version") == "2.0":
        method, public = _text(_mapping(context, "http"), "method"), _text(event, "rawPath")
        path, query = public, _text(event, "rawQueryString", "")
        route = str(event.get("routeKey")).partition(" ")[2]
    else:
        method, path, query = _text(event, "httpMethod"), _text(event, "path"), _query(event)
        # A REST API leaves the stage out of `path`; here is what callers send.
        public = str(context.get("path") or path)
        route = str(event.get("resource"))
    inner = _path_of_route(route, _mapping(event, "pathParameters"), path)
    if inner is None:
        # Only HTTP APIs put the stage in front.
        inner = _without_stage(path, context.get("stage")) if "version" in event else path
    if public.endswith(inner) and (prefix := public.removesuffix(inner).rstrip("/")):
        headers = {"x-forwarded-prefix": prefix, **headers}
    return Call(method, inner, query, headers, _read_body(event))


def _path_of_route(route: str, parameters: dict[str, Any], path: str) -> str | None:
    """The end of a path that the gateway's route matched: before it come a stage and a custom domain's base path.

    None where the event tells no route, or the path does not end with it.
    """
    if not route.startswith("/"):
        return None
    inner = PARAMETER.sub(lambda match: str(parameters.get(match[1]) or ""), route)
    if inner == "/" and "{" not in route:
        return "/"
    return inner if path.endswith(inner) else None


def _without_stage(path: str, stage: Any) -> str:
    prefix = f"/{stage}"
    return (path.removeprefix(prefix) or "/") if stage and (path == prefix or path.startswith(prefix + "/")) else path


def _headers(event: Event) -> dict[str, str]:
    """Several of a name are one with all values (RFC 9110, section 5.3)."""
    given: dict[str, Any] = dict(_mapping(event, "headers"))
    for name, values in _mapping(event, "multiValueHeaders").items():
        if isinstance(values, list) and all(isinstance(each, str) for each in values):
            given[name] = ("; " if name.lower() == "cookie" else ", ").join(values)
    headers = {name: _text(given, name) for name, value in given.items() if value is not None}
    cookies = event.get("cookies")
    if isinstance(cookies, list) and cookies and all(isinstance(each, str) for each in cookies):
        headers["cookie"] = "; ".join(cookies)
    return headers


def _query(event: Event) -> str:
    """A load balancer leaves names and values encoded, a gateway decodes them."""
    given = _mapping(event, "multiValueQueryStringParameters") or _mapping(event, "queryStringParameters")
    pairs = [(name, each) for name, value in given.items() for each in (value if isinstance(value, list) else [value])]
    if is_load_balancer(event):
        return "&".join(f"{name}={value}" for name, value in pairs).encode("ascii", "replace").decode()
    return urlencode(pairs, errors="replace")


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
