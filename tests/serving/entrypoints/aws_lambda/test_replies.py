"""Replies in the form that the caller reads; none that Lambda would drop for its size."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving.entrypoints.asgi_client import Call, Reply
from serving.entrypoints.aws_lambda.replies import MOST_BYTES, MOST_BYTES_TO_LOAD_BALANCER, InvocationError, result_of
from tests.serving.test_lambda_handler import event_of, load_balancer

JSON = {"content-type": "application/json", "x-request-id": "a"}
CALL = Call("POST", "/predict")


def large(bytes_of_result: int, event: dict[str, Any], character: str = "a") -> Reply:
    """A reply whose result has so many bytes as JSON, or one character less."""
    empty = len(json.dumps(result_of(event, CALL, Reply(200, JSON, b'""'))))
    each = len(json.dumps(character)) - 2
    return Reply(200, JSON, f'"{character * ((bytes_of_result - empty) // each)}"'.encode())


@pytest.mark.parametrize("kind", ["function_url", "http_api", "rest_api", "load_balancer"])
@pytest.mark.parametrize("character", ["a", "é", "卡"])
def test_the_largest_answer(kind: str, character: str) -> None:
    """An answer passes up to Lambda's limit in the runtime's bytes; above it the caller learns why not."""
    event = event_of(kind, "POST", "/predict", "{}")
    most = MOST_BYTES_TO_LOAD_BALANCER if kind == "load_balancer" else MOST_BYTES
    whole = result_of(event, CALL, large(most, event, character))
    assert whole["statusCode"] == 200
    assert most - 6 <= len(json.dumps(whole)) <= most
    refused = result_of(event, CALL, large(most + 12, event, character))
    assert refused["statusCode"] == 413
    told = json.loads(refused["body"])
    assert told["error_type"] == "too_large"
    assert f"AWS Lambda returns at most {most:,}" in told["error"]
    assert "send fewer inputs" in told["error"]


def test_base64_counts() -> None:
    """Binary tensors grow by a third."""
    event = event_of("function_url", "POST", "/v2/models/a/infer", "{}")
    headers = {"content-type": "application/octet-stream"}
    assert result_of(event, CALL, Reply(200, headers, bytes(4_600_000)))["statusCode"] == 200
    refused = result_of(event, CALL, Reply(200, headers, bytes(4_800_000)))
    assert (refused["statusCode"], refused["isBase64Encoded"]) == (413, False)


def test_openai_clients() -> None:
    """Their error has their shape."""
    event = event_of("function_url", "POST", "/v1/embeddings", "{}")
    refused = result_of(event, Call("POST", "/v1/embeddings"), large(MOST_BYTES + 9, event))
    assert "AWS Lambda" in json.loads(refused["body"])["error"]["message"]


def test_a_direct_invocation() -> None:
    """The caller gets a function error with the reason."""
    body = json.dumps(["a" * MOST_BYTES]).encode()
    with pytest.raises(InvocationError, match="413: the answer has 6,291,460 bytes"):
        result_of({"inputs": "a"}, CALL, Reply(200, JSON, body))


@pytest.mark.parametrize(("status", "told"), [(200, "200 OK"), (422, "422 Unprocessable"), (499, "499")])
def test_a_load_balancer(status: int, told: str) -> None:
    """It wants a description of the status."""
    event = load_balancer("GET", "/livez", None)
    assert result_of(event, CALL, Reply(status, JSON, b"{}"))["statusDescription"].startswith(told)
    assert "statusDescription" not in result_of(event_of("rest_api", "GET", "/"), CALL, Reply(status, JSON, b"{}"))


def test_multi_value_headers() -> None:
    """A load balancer that sends several values reads no others."""
    event = load_balancer("GET", "/livez", None)
    event["multiValueHeaders"] = {name: [value] for name, value in event.pop("headers").items()}
    result = result_of(event, CALL, Reply(200, JSON, b"{}"))
    assert result["multiValueHeaders"] == {"content-type": ["application/json"], "x-request-id": ["a"]}
    assert "headers" not in result
