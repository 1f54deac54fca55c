"""Every answer of a real app, at every documented path, is one that the OpenAPI document describes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.http.models.sources import find_bundles
from serving.inference.predictor import Predictor
from serving.settings.access import PROBES, AccessPolicy
from tests.serving.http.openapi.test_document import problems

KEY = "first-key-0123456789"
JSON = {"content-type": "application/json"}

BODIES: list[Any] = [
    {"inputs": "a"},
    {"inputs": ["a", "b"]},
    {"inputs": [["a"]], "truncate": False},
    {"inputs": {"question": "who?", "context": "Ada flew to Oslo"}},
    {"inputs": "a", "parameters": {"top_k": 1}},
    {"inputs": "  "},
    {"inputs": "a" * 100_001},
    {"inputs": ["a"] * 129},
    {"input": "a"},
    {"input": "a", "model": "nobody"},
    {"inputs": {"source_sentence": "a", "sentences": ["b", "c"]}},
    {"query": "a", "texts": ["b", "c"]},
    {"query": "a", "documents": ["b"], "model": "nobody"},
    {"input": "a", "questions": [{"type": "predicate", "instructions": "?", "name": "track"}]},
    {"prompt": "a", "max_tokens": 2},
    {"prompt": "a", "max_tokens": 2, "stream": True},
    {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]},
    {
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}],
        "parameters": {"binary_data_output": True},
    },
    [],
]
"""Each is right at some path and wrong at others."""

RAW: list[tuple[bytes, dict[str, str]]] = [
    (b"", JSON),
    (b"{", JSON),
    (b"\xff", JSON),
    (b'{"inputs": "a"}', {}),
    (b'{"inputs": "a"}', {"content-type": "text/plain"}),
    (b'{"inputs": "a"}', {"content-type": "application/jsonlines"}),
    (b'{"inputs": "a"}\n{"inputs": ""}', {"content-type": "application/jsonl"}),
    (b'{"inputs": "a"}', {"content-type": "application/octet-stream"}),
    (b'{"inputs": "a"}', JSON | {"content-encoding": "gzip"}),
    (b'{"inputs": "a"}', JSON | {"request-timeout": "soon"}),
    (b'{"inputs": "a"}', JSON | {"request-timeout": "5e-324"}),
    (b'{"inputs": "a"}', JSON | {"inference-header-content-length": "some"}),
]

TOYS = ("feature-extraction", "question-answering", "text-generation")

Clients = Callable[[str], TestClient]


@pytest.fixture(scope="module")
def two(tiny_bundle: Path, task_bundle: Callable[[str], Path]) -> Iterator[TestClient]:
    """An app over two models."""
    bundles = find_bundles([f"vectors={task_bundle('feature-extraction')}", f"the labels={tiny_bundle}"])
    with TestClient(create_app(*bundles)) as client:
        yield client


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Each documented path, method and operation."""
    for path, item in document["paths"].items():
        for method in ("get", "post"):
            if method in item:
                yield path, method, item[method]


def addresses(client: TestClient, path: str) -> list[str]:
    """The path with its parameters filled in: rightly, with a model that there is not, and a version likewise."""
    info = client.get("/info").json()
    name, version = info["served_as"], info["bundle_sha256"][:12]
    filled = [(name, version), ("nobody", version), (name, "none")]
    return list(dict.fromkeys(path.format(model=quote(model), version=each) for model, each in filled))


def responses(client: TestClient, path: str, method: str) -> Iterator[httpx.Response]:
    """The answers to valid and invalid requests."""
    for address in addresses(client, path):
        if method == "get":
            yield client.get(address)
            continue
        for body in BODIES:
            yield client.post(address, json=body)
        for content, headers in RAW:
            yield client.post(address, content=content, headers=headers)


def undocumented(response: httpx.Response, operation: Any, document: Any) -> list[str]:
    """What of an answer the document does not describe."""
    told = operation["responses"].get(str(response.status_code))
    if told is None:
        return [f"status {response.status_code}"]
    bodies, media_type = told.get("content"), response.headers.get("content-type", "").partition(";")[0]
    if bodies is None:
        return ["a body"] if response.content else []
    if media_type not in bodies:
        return [f"content type {media_type!r} with status {response.status_code}"]
    headers = told.get("headers", {}).items()
    lacking = [f"no {name}" for name, header in headers if header.get("required") and name not in response.headers]
    schema = bodies[media_type].get("schema")
    return lacking + (problems(response.json(), schema, document) if schema else [])


def statuses_of_documented_answers(client: TestClient, at: str = "/openapi.json") -> set[int]:
    """The statuses of all answers, each of which must be documented."""
    document, seen = client.get(at).json(), set()
    for path, method, operation in operations(document):
        for response in responses(client, path, method):
            assert undocumented(response, operation, document) == [], (method, path, response.request.content[:80])
            seen.add(response.status_code)
    return seen


@pytest.mark.slow
def test_one_model(client: TestClient) -> None:
    """A classifier's server; every error that a request can cause occurs."""
    assert statuses_of_documented_answers(client) >= {200, 400, 404, 413, 415, 422}


@pytest.mark.slow
@pytest.mark.parametrize("toy", TOYS)
def test_other_tasks(task_client: Clients, toy: str) -> None:
    """Servers of other kinds of task."""
    assert statuses_of_documented_answers(task_client(toy)) >= {200, 400, 404, 413, 415, 422}


@pytest.mark.slow
def test_two_models(two: TestClient) -> None:
    """A server of two models, where a body may name an unknown one."""
    assert statuses_of_documented_answers(two) >= {200, 404}
    assert two.post("/v1/embeddings", json={"input": "a", "model": "nobody"}).status_code == 404


@pytest.mark.slow
def test_own_documents(two: TestClient) -> None:
    """Each model's own document."""
    for name in ("vectors", "the labels"):
        assert statuses_of_documented_answers(two, f"/models/{name}/openapi.json") >= {200, 400, 413, 415, 422}


def test_content_types(client: TestClient) -> None:
    """Documented content types are accepted, another is a 415."""
    for path, method, operation in operations(client.get("/openapi.json").json()):
        if method == "post":
            address = addresses(client, path)[0]
            for media_type in operation["requestBody"]["content"]:
                assert client.post(address, content=b"{", headers={"content-type": media_type}).status_code != 415
            assert client.post(address, content=b"{", headers={"content-type": "text/plain"}).status_code == 415


def test_bodies_other_than_json(client: TestClient, task_client: Clients) -> None:
    """JSON lines, binary tensors and server-sent events are documented as such."""
    tensors = next(body for body in BODIES if "binary_data_output" in json.dumps(body))
    lines = {"content": b'{"inputs": "a"}', "headers": {"content-type": "application/jsonlines"}}
    for asked_of, path, request, wanted in (
        (client, "/v2/models/{model}/infer", {"json": tensors}, "application/octet-stream"),
        (client, "/invocations", lines, "application/jsonlines"),
        (
            task_client("text-generation"),
            "/v1/completions",
            {"json": {"prompt": "a", "stream": True}},
            "text/event-stream",
        ),
    ):
        document = asked_of.get("/openapi.json").json()
        response = asked_of.post(addresses(asked_of, path)[0], **request)
        assert response.headers["content-type"].partition(";")[0] == wanted
        assert undocumented(response, document["paths"][path]["post"], document) == []


@pytest.mark.slow
@pytest.mark.parametrize("open_metrics", [False, True])
def test_keys(tiny_bundle: Path, open_metrics: bool) -> None:
    """With API keys, the document says which operations need one, in which headers, and that they may be 401."""
    access_policy = AccessPolicy(api_keys=(KEY,), open_metrics=open_metrics)
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle), access_policy=access_policy)) as client:
        document = client.get("/openapi.json", headers={"X-API-Key": KEY}).json()
        OpenAPIV31SpecValidator(document).validate()
        for path, method, operation in operations(document):
            secured = operation.get("security", document["security"]) != []
            response = client.request(method, path)
            assert (response.status_code == 401) == secured, path
            assert ("401" in operation["responses"]) == secured
            if secured:
                assert undocumented(response, operation, document) == []
                assert all(
                    client.request(method, path, headers=each).status_code != 401 for each in key_headers(document)
                )


def key_headers(document: Any) -> Iterator[dict[str, str]]:
    """Headers that send the key, in each documented way."""
    for (name,) in document["security"]:
        scheme = document["components"]["securitySchemes"][name]
        if scheme["type"] == "http":
            yield {"Authorization": f"{scheme['scheme'].capitalize()} {KEY}"}
        else:
            assert (scheme["type"], scheme["in"]) == ("apiKey", "header")
            yield {scheme["name"]: KEY}


def test_hosts(tiny_bundle: Path) -> None:
    """With allowed hosts, every operation but probes may be 421."""
    access_policy = AccessPolicy(allowed_hosts=("testserver",))
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle), access_policy=access_policy)) as client:
        document = client.get("/openapi.json").json()
        for path, method, operation in operations(document):
            response = client.request(method, path, headers={"Host": "elsewhere"})
            assert (response.status_code == 421) == ("421" in operation["responses"]) == (path not in PROBES)
            assert undocumented(response, operation, document) == []


def test_neither(client: TestClient) -> None:
    """Without keys or hosts the document mentions neither."""
    document = client.get("/openapi.json").json()
    assert "security" not in document
    assert "securitySchemes" not in document["components"]
    assert not any({"401", "421"} & operation["responses"].keys() for _, _, operation in operations(document))
