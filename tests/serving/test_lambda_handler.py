"""The Lambda handler translates every kind of event to an HTTP request and back."""

from __future__ import annotations

import base64
import functools
import json
import logging
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tokenizers import Encoding

from serving import lambda_handler
from serving.errors import BundleError
from serving.inference.predictor import Predictor
from serving.lambda_handler import Function, InvocationError
from serving.settings.access import AccessPolicy
from serving.settings.settings import ServerSettings
from serving.tasks.base import Logits
from tests.paths import ROOT
from tests.serving.processes import environment, python

TEXT = "where is my parcel?"
BODY = json.dumps({"inputs": TEXT})
KINDS = ("function_url", "http_api", "rest_api", "load_balancer")


@pytest.fixture(scope="module")
def function(tiny_bundle: Path) -> Iterator[Function]:
    """The function with the fp32 bundle."""
    function = Function(ServerSettings(bundle=tiny_bundle))
    yield function
    function.close()


def function_url(method: str, path: str, body: str | None, content_type: str = "application/json") -> dict[str, Any]:
    """An event of a Function URL: payload version 2.0, stage $default."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "a=1&b=2",
        "headers": {
            "content-type": content_type,
            "host": "abcdefghij.lambda-url.eu-west-1.on.aws",
            "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            "x-forwarded-for": "198.51.100.7",
            "x-forwarded-proto": "https",
            "user-agent": "curl/8.5.0",
        },
        "queryStringParameters": {"a": "1", "b": "2"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.lambda-url.eu-west-1.on.aws",
            "domainPrefix": "abcdefghij",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "198.51.100.7",
                "userAgent": "curl/8.5.0",
            },
            "requestId": "9f6bd6a1-5d6f-4a0c-a8c5-6a3b9c0d1e2f",
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:19:00:00 +0000",
            "timeEpoch": 1795460400000,
        },
        **({} if body is None else {"body": body}),
        "isBase64Encoded": False,
    }


def http_api(method: str, path: str, body: str | None, content_type: str = "application/json") -> dict[str, Any]:
    """An event of an HTTP API with a named stage, which stands in front of the path."""
    event = function_url(method, f"/prod{path}", body, content_type)
    event["routeKey"] = event["requestContext"]["routeKey"] = "ANY /{proxy+}"
    event["requestContext"] |= {"stage": "prod", "accountId": "123456789012"}
    return event | {"pathParameters": {"proxy": path.strip("/")}, "stageVariables": None, "cookies": ["a=b"]}


def rest_api(method: str, path: str, body: str | None, content_type: str = "application/json") -> dict[str, Any]:
    """An event of a REST API: payload version 1.0, headers in the caller's own case."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Accept": "*/*", "Content-Type": content_type, "Host": "abc.execute-api.eu-west-1.amazonaws.com"},
        "multiValueHeaders": {"Accept": ["*/*"], "Content-Type": [content_type]},
        "queryStringParameters": {"a": "2"},
        "multiValueQueryStringParameters": {"a": ["1", "2"], "b": ["x y"]},
        "pathParameters": {"proxy": path.strip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc",
            "httpMethod": method,
            "identity": {"sourceIp": "198.51.100.7", "userAgent": "curl/8.5.0"},
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
        "body": body,
        "isBase64Encoded": False,
    }


def load_balancer(method: str, path: str, body: str | None, content_type: str = "application/json") -> dict[str, Any]:
    """An event of an Application Load Balancer."""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1234:targetgroup/a"}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        "headers": {"content-type": content_type, "host": "lb-1.eu-west-1.elb.amazonaws.com"},
        "body": body or "",
        "isBase64Encoded": False,
    }


def event_of(kind: str, method: str, path: str, body: str | None = None, **options: Any) -> dict[str, Any]:
    """A realistic event of that kind."""
    event: dict[str, Any] = globals()[kind](method, path, body, **options)
    return event


def encoded(event: dict[str, Any], body: str | bytes) -> dict[str, Any]:
    """The event with a body in base64."""
    raw = body.encode() if isinstance(body, str) else body
    return event | {"body": base64.b64encode(raw).decode(), "isBase64Encoded": True}


@pytest.mark.parametrize("path", ["/predict", "/"])
@pytest.mark.parametrize("kind", KINDS)
def test_predict(function: Function, client: TestClient, kind: str, path: str) -> None:
    """Every kind of HTTP event gets exactly the answer of HTTP."""
    answer = function(event_of(kind, "POST", path, BODY))
    over_http = client.post(path, json=json.loads(BODY))
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["content-type"] == "application/json"
    assert answer["body"] == over_http.text
    assert json.dumps(answer)


def lasting(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without its request id and times, which always differ."""
    headers = {k: v for k, v in answer["headers"].items() if k not in ("x-request-id", "server-timing")}
    return {**answer, "headers": headers}


@pytest.mark.parametrize("kind", KINDS)
def test_base64(function: Function, kind: str) -> None:
    """A body in base64 is the same body."""
    plain = event_of(kind, "POST", "/predict", BODY)
    assert lasting(function(encoded(plain, BODY))) == lasting(function(plain))


@pytest.mark.parametrize("kind", KINDS)
def test_unicode(function: Function, kind: str) -> None:
    """Text outside ASCII arrives unchanged, in base64 or not."""
    body = json.dumps({"inputs": "我的卡 👍🏽"}, ensure_ascii=False)
    plain = function(event_of(kind, "POST", "/predict", body))
    assert plain["statusCode"] == 200
    assert lasting(function(encoded(event_of(kind, "POST", "/predict"), body))) == lasting(plain)


@pytest.mark.parametrize("body", ["not base64!", "abc", "YWJj=YWJj", "é", "====", "YWJj\n"])
@pytest.mark.parametrize("kind", KINDS)
def test_malformed_base64(function: Function, kind: str, body: str) -> None:
    """A body that should be base64 and is not gets 400."""
    answer = function(event_of(kind, "POST", "/predict", body) | {"isBase64Encoded": True})
    assert answer["statusCode"] == 400
    content = json.loads(answer["body"])
    assert content["error_type"] == "malformed"
    assert content["error"].startswith("the event says isBase64Encoded, but its body is not base64: ")


@pytest.mark.parametrize("kind", KINDS)
def test_binary_junk(function: Function, kind: str) -> None:
    """A body that is not UTF-8 gets 400."""
    answer = function(encoded(event_of(kind, "POST", "/predict"), bytes(range(256)) * 10))
    assert answer["statusCode"] == 400
    assert "not UTF-8" in json.loads(answer["body"])["error"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("method", "path", "body", "options", "status", "message"),
    [
        ("POST", "/predict", "{", {}, 400, "not valid JSON"),
        ("POST", "/predict", None, {}, 400, "not valid JSON"),
        ("POST", "/predict", '{"inputs": " "}', {}, 422, "inputs is empty"),
        ("POST", "/predict", json.dumps({"inputs": "x" * 100_001}), {}, 413, "100,001 characters"),
        ("POST", "/predict", "x" * (4 * 2**20 + 1), {}, 413, "more than 4,194,304 bytes"),
        ("POST", "/predict", BODY, {"content_type": "text/plain"}, 415, "application/json, not text/plain"),
        ("GET", "/predict", None, {}, 405, "/predict takes POST, not GET"),
        ("GET", "/nothing", None, {}, 404, "nothing at /nothing"),
    ],
    ids=range(8),
)
def test_refused(
    function: Function, kind: str, method: str, path: str, body: str | None,
    options: dict[str, str], status: int, message: str,
) -> None:  # fmt: skip
    """Errors have the status and message of HTTP."""
    answer = function(event_of(kind, method, path, body, **options))
    assert answer["statusCode"] == status
    assert message in json.loads(answer["body"])["error"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/info", "/livez", "/readyz", "/card", "/"])
def test_gets(function: Function, client: TestClient, kind: str, path: str) -> None:
    """The other endpoints answer as over HTTP."""
    answer = function(event_of(kind, "GET", path))
    over_http = client.get(path)
    assert answer["statusCode"] == over_http.status_code == 200
    assert answer["body"] == over_http.text
    assert answer["headers"]["content-type"] == over_http.headers["content-type"]


@pytest.mark.parametrize("kind", KINDS)
def test_openapi(function: Function, client: TestClient, kind: str) -> None:
    """The document names a stage that callers put before the paths."""
    document = json.loads(function(event_of(kind, "GET", "/openapi.json"))["body"])
    assert document.pop("servers", None) == ([{"url": "/prod"}] if kind in ("http_api", "rest_api") else None)
    assert document == client.get("/openapi.json").json()


def test_metrics(function: Function) -> None:
    """/metrics is available."""
    assert "tuneship_bundle_info" in function(event_of("function_url", "GET", "/metrics"))["body"]


@pytest.mark.parametrize(
    ("raw_path", "stage", "status"),
    [
        ("/prod/livez", "prod", 200),
        ("/prod", "prod", 200),
        ("/production/livez", "prod", 404),
        ("/livez", "$default", 200),
        ("/livez", None, 200),
        ("/livez", "livez", 200),
    ],
)
def test_stage(function: Function, raw_path: str, stage: str | None, status: int) -> None:
    """The stage in front of a path is removed, and nothing else."""
    event = function_url("GET", raw_path, None)
    event["requestContext"]["stage"] = stage
    assert function(event)["statusCode"] == status


@pytest.mark.parametrize(
    ("kind", "query"), [("function_url", "a=1&b=2"), ("rest_api", "a=1&a=2&b=x+y"), ("load_balancer", "")]
)
def test_query(kind: str, query: str) -> None:
    """The whole query string reaches the app, repeated names included."""
    event = event_of(kind, "GET", "/livez")
    assert lambda_handler.parse_event(event).scope()["query_string"] == query.encode()


@pytest.mark.parametrize("kind", ["function_url", "rest_api", "load_balancer"])
def test_null_headers(function: Function, kind: str) -> None:
    """Headers may be null."""
    event = event_of(kind, "GET", "/livez") | {"headers": None, "multiValueQueryStringParameters": None}
    assert function(event)["statusCode"] == 200
    event = event_of(kind, "GET", "/livez") | {"headers": {"Accept": None}}
    assert function(event)["statusCode"] == 200


@pytest.mark.parametrize("kind", KINDS)
def test_binary_answers(function: Function, kind: str) -> None:
    """Only binary tensors are returned in base64."""
    outputs = [{"name": "score", "parameters": {"binary_data": True}}]
    asked = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}], "outputs": outputs}
    reply = function(event_of(kind, "POST", "/v2/models/run/infer", json.dumps(asked)))
    assert (reply["statusCode"], reply["isBase64Encoded"]) == (200, True)
    whole, length = base64.b64decode(reply["body"]), int(reply["headers"]["inference-header-content-length"])
    (score,) = json.loads(whole[:length])["outputs"]
    assert score["parameters"]["binary_data_size"] == len(whole) - length > 0


@pytest.mark.parametrize(
    "event",
    [
        {"inputs": TEXT},
        {"inputs": [TEXT, "stop"], "parameters": {"top_k": 1}},
        {"inputs": "我的卡 👍🏽"},
    ],
)
def test_plain(function: Function, client: TestClient, event: dict[str, Any]) -> None:
    """A direct invocation returns the bare answer, the same as over HTTP."""
    assert function(event) == client.post("/predict", json=event).json()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "422: the body has no `inputs`"),
        (None, "422: the body has no `inputs`"),
        ([], "422: the body has no `inputs`"),
        ("text", "422: the body has no `inputs`"),
        ({"inputs": ""}, "422: inputs is empty"),
        ({"inputs": "\ud800"}, "422: inputs holds a lone surrogate"),
        ({"inputs": ["a"] * 129}, "413: `inputs` holds 129 texts"),
        ({"inputs": "a", "source": "aws.events"}, "422: unknown key 'source'"),
    ],
)
def test_plain_refused(function: Function, event: Any, message: str) -> None:
    """A refused direct invocation raises, so that Lambda reports the reason to the caller."""
    with pytest.raises(InvocationError, match=f"^{message}"):
        function(event)


class Broken(Predictor):
    """A predictor whose engine fails after the golden answers."""

    opened = False

    def replay_golden(self, *arguments: float, **options: bool) -> float:
        """The real replay."""
        difference = super().replay_golden(*arguments, **options)
        self.opened = True
        return difference

    def run_batch(self, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        """Fail with a message that callers must not see."""
        if not self.opened:
            return super().run_batch(windows, length)
        raise RuntimeError("secret detail")


def test_server_error(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A failure of the engine is a 500 without details, its traceback is in the log, and the next event is answered."""
    monkeypatch.setattr("serving.inference.predictor.Predictor", Broken)
    function = Function(ServerSettings(bundle=tiny_bundle))
    with caplog.at_level(logging.ERROR):
        answer = function(function_url("POST", "/predict", BODY))
    assert answer["statusCode"] == 500
    assert "secret" not in answer["body"]
    assert "secret detail" in caplog.text
    with pytest.raises(InvocationError, match=r"^500: the server failed on this request") as caught:
        function({"inputs": TEXT})
    assert "secret" not in str(caught.value)
    assert function(function_url("GET", "/livez", None))["statusCode"] == 200
    function.close()


def test_handler_loads_once(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point loads the bundle of TUNESHIP_BUNDLE once a container."""
    monkeypatch.setenv("TUNESHIP_BUNDLE", str(tiny_bundle))
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    monkeypatch.setattr(lambda_handler, "_function", None)
    first = lambda_handler.handler({"inputs": TEXT}, None)
    loaded = lambda_handler._function
    assert loaded is not None
    assert lambda_handler.handler({"inputs": TEXT}, None) == first
    assert lambda_handler._function is loaded
    loaded.close()


def test_bad_bundle(tmp_path: Path) -> None:
    """A missing or altered bundle is an error at the start."""
    with pytest.raises(BundleError, match="is not a bundle"):
        Function(ServerSettings(bundle=tmp_path))


def test_lean_import() -> None:
    """Importing the handler imports neither BentoML nor training code, and outside Lambda loads no bundle."""
    script = (
        "import sys, serving.lambda_handler as handler\n"
        "heavy = {'bentoml', 'torch', 'transformers', 'datasets', 'sklearn', 'onnx', 'uvicorn', 'trainer', 'export'}\n"
        "print(sorted(heavy & sys.modules.keys()), handler._function)"
    )
    result = subprocess.run(
        python("-c", script), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == "[] None\n"


def test_api_keys(tiny_bundle: Path) -> None:
    """Every kind of event needs an API key; a direct invocation cannot have one and is refused."""
    key = "lambda-key-012345678"
    function = Function(ServerSettings(bundle=tiny_bundle, access_policy=AccessPolicy(api_keys=(key,))))
    try:
        event = event_of("function_url", "POST", "/predict", BODY)
        refused = function(event)
        assert refused["statusCode"] == 401
        assert json.loads(refused["body"])["error_type"] == "unauthorized"
        assert refused["headers"]["www-authenticate"].startswith("Bearer")
        assert function(event | {"headers": {**event["headers"], "x-api-key": key}})["statusCode"] == 200
        with pytest.raises(InvocationError, match=r"^401: this server asks for an API key"):
            function({"inputs": "stop"})
    finally:
        function.close()


DEEP: Any = functools.reduce(lambda below, _: [below], range(5000), 0)
NO_INPUTS = (None, 0, 1e999, True, "", "\ud800", [], ["\ud800"], {}, {"\ud800": "\ud800"}, {"a": None}, {"a": 1}, DEEP)
ODD = (*NO_INPUTS, "a\0b\r\nc: d")
FIELDS = (
    "version", "rawPath", "rawQueryString", "httpMethod", "path", "multiValueQueryStringParameters", "headers", "body",
    "isBase64Encoded", "requestContext", "requestContext.http", "requestContext.http.method", "requestContext.stage",
    "headers.content-type",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", FIELDS)
def test_odd_events(function: Function, kind: str, field: str) -> None:
    """Whatever stands in a field, or does not, an event of HTTP gets an HTTP answer that is no failure of ours."""
    for value in (*ODD, "absent"):
        event = event_of(kind, "POST", "/predict", BODY)
        *parents, name = field.split(".")
        holder = functools.reduce(lambda inner, key: inner.get(key, {}), parents, event)
        holder[name] = value
        if value == "absent":
            del holder[name]
        if "requestContext" not in event and "httpMethod" not in event:
            continue  # a direct invocation
        answer = function(event)
        assert answer["statusCode"] < 500, (value, answer)
        assert isinstance(answer["body"], str)
        json.dumps(answer)


@pytest.mark.parametrize("event", NO_INPUTS, ids=range(len(NO_INPUTS)))
def test_odd_invocations(function: Function, event: Any) -> None:
    """A direct invocation with whatever is refused with a message."""
    for each in (event, {"inputs": event}, {"inputs": [event], "parameters": event}):
        with pytest.raises(InvocationError, match=r"^4\d\d: "):
            function(each)


@pytest.mark.parametrize("kind", KINDS)
def test_a_surrogate_is_no_question_mark(function: Function, kind: str) -> None:
    """A text that UTF-8 cannot hold is refused, and not answered as another."""
    answer = function(event_of(kind, "POST", "/predict", '{"inputs": "where is \ud800"}'))
    assert (answer["statusCode"], json.loads(answer["body"])["error_type"]) == (400, "malformed")


def test_what_an_event_lacks(function: Function) -> None:
    """The answer to a malformed event names its field."""
    answer = function({"version": "2.0", "requestContext": {"http": {"method": "GET"}}})
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["error"] == "the event's rawPath is not a text"
