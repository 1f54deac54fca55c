"""What gateways and load balancers do to a path, its query and headers is undone; warm-up calls are recognised."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving.entrypoints.aws_lambda.events import is_queue, is_warm_up, parse_event
from tests.serving.test_lambda_handler import event_of, http_api, load_balancer, rest_api


def scope(event: dict[str, Any]) -> tuple[str, str, dict[str, str]]:
    """Path, query and headers of the request."""
    found = parse_event(event).scope()
    headers = {name.decode(): value.decode("latin-1") for name, value in found["headers"]}
    return found["path"], found["query_string"].decode(), headers


@pytest.mark.parametrize(
    ("path", "public", "resource", "proxy", "inner", "prefix"),
    [
        ("/predict", "/prod/predict", "/{proxy+}", "predict", "/predict", "/prod"),
        ("/nlp/predict", "/nlp/predict", "/{proxy+}", "predict", "/predict", "/nlp"),  # a custom domain's base path
        ("/nlp/prod/predict", "/nlp/prod/predict", "/{proxy+}", "predict", "/predict", "/nlp/prod"),
        ("/prod/predict", "/prod/predict", "/{proxy+}", "predict", "/predict", "/prod"),  # and no stage in its mapping
        ("/predict", "/predict", "/predict", None, "/predict", None),
        ("/nlp/predict", "/nlp/predict", "/predict", None, "/predict", "/nlp"),
        ("/v1/models/a/info", "/prod/v1/models/a/info", "/v1/{proxy+}", "models/a/info", "/v1/models/a/info", "/prod"),
        ("/", "/prod/", "/", None, "/", "/prod"),
        ("/nlp", "/nlp", "/", None, "/", None),
        ("/other", "/other", "/{proxy+}", "not its end", "/other", None),
    ],
)
def test_rest_api(path: str, public: str, resource: str, proxy: str | None, inner: str, prefix: str | None) -> None:
    """A stage or a base path before the route's own path is left out, and told to callers."""
    event = rest_api("GET", path, None) | {"resource": resource, "pathParameters": proxy and {"proxy": proxy}}
    event["requestContext"]["path"] = public
    found, _, headers = scope(event)
    assert (found, headers.get("x-forwarded-prefix")) == (inner, prefix)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize(
    ("path", "stage", "route", "inner", "prefix"),
    [
        ("/prod/predict", "prod", "/{proxy+}", "/predict", "/prod"),
        ("/nlp/predict", "prod", "/{proxy+}", "/predict", "/nlp"),  # a custom domain leaves the stage out
        ("/prod/predict", "prod", "$default", "/predict", "/prod"),
        ("/predict", "$default", "$default", "/predict", None),
        ("/prod", "prod", "$default", "/", None),
    ],
)
def test_http_api(version: str, path: str, stage: str, route: str, inner: str, prefix: str | None) -> None:
    """Both payload versions have the stage in the path."""
    parameters = {"proxy": "predict"} if "proxy" in route else None
    if version == "2.0":
        event = http_api("GET", "", None) | {"rawPath": path, "pathParameters": parameters}
        event["routeKey"] = route if route == "$default" else f"ANY {route}"
        event["requestContext"]["stage"] = stage
    else:
        event = rest_api("GET", path, None) | {"version": "1.0", "resource": route, "pathParameters": parameters}
        event["requestContext"] |= {"stage": stage, "path": path}
    found, _, headers = scope(event)
    assert (found, headers.get("x-forwarded-prefix")) == (inner, prefix)


@pytest.mark.parametrize("several", [True, False])
def test_a_load_balancers_query(several: bool) -> None:
    """It arrives encoded, as a gateway's does not."""
    event = load_balancer("GET", "/livez", None)
    if several:
        del event["queryStringParameters"]
        event["multiValueQueryStringParameters"] = {"a%20b": ["x%26y", "z"], "c": [""]}
        assert scope(event)[1] == "a%20b=x%26y&a%20b=z&c="
    else:
        event["queryStringParameters"] = {"a%20b": "x%26y"}
        assert scope(event)[1] == "a%20b=x%26y"


def test_a_gateways_query() -> None:
    """It arrives decoded; test events may have the single values alone."""
    event = rest_api("GET", "/livez", None)
    event["multiValueQueryStringParameters"] = {"a b": ["x&y"]}
    assert scope(event)[1] == "a+b=x%26y"
    event["multiValueQueryStringParameters"] = None
    assert scope(event)[1] == "a=2"


def test_multi_value_headers() -> None:
    """Several values of a header are one (RFC 9110), a cookie's with semicolons (RFC 6265)."""
    event = load_balancer("GET", "/livez", None)
    del event["headers"]
    event["multiValueHeaders"] = {"accept": ["a/b", "c/d"], "Cookie": ["x=1", "y=2"], "host": ["example.org"]}
    assert scope(event)[2] == {"accept": "a/b, c/d", "cookie": "x=1; y=2", "host": "example.org"}


def test_cookies() -> None:
    """Payload version 2.0 has cookies apart."""
    event = http_api("GET", "/livez", None) | {"cookies": ["a=1", "b=2"]}
    assert scope(event)[2]["cookie"] == "a=1; b=2"


@pytest.mark.parametrize(
    ("event", "warms"),
    [
        ({"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}, True),
        ({"source": "serverless-plugin-warmup"}, True),
        ({"warmup": True}, True),
        ({"warmer": True, "concurrency": 3}, True),
        ({"inputs": "a", "warmup": True}, False),
        ({"warmup": "yes"}, False),
        ({"source": ["aws.events"]}, False),
        ({}, False),
        (None, False),
        ([], False),
    ],
)
def test_warm_up(event: Any, warms: bool) -> None:
    """A schedule's event is none of a caller's."""
    assert is_warm_up(event) is warms


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"Records": [{"eventSource": "aws:sqs"}]}, True),
        ({"Records": [{"eventSource": "aws:s3"}]}, False),
        ({"Records": []}, False),
        ({"Records": [None, 7]}, False),
        ({"Records": "a"}, False),
        ("Records", False),
    ],
)
def test_queue(event: Any, expected: bool) -> None:
    """Only SQS delivers messages that we answer."""
    assert is_queue(event) is expected


@pytest.mark.parametrize("kind", ["rest_api", "http_api"])
def test_a_prefix_is_no_way_around(kind: str) -> None:
    """What a gateway says of its route can only shorten the path that the caller asked for."""
    event = event_of(kind, "GET", "/metrics") | {"pathParameters": {"proxy": "livez"}}
    event["requestContext"]["stage"] = "$default"
    assert scope(json.loads(json.dumps(event)))[0].endswith("/metrics")
