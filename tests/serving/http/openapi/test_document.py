"""The OpenAPI document describes every endpoint, and its schemas accept what the server accepts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.http.models.sources import find_bundles
from serving.protocols import PROTOCOLS

UNLISTED = {("/", "get"), ("/docs.json", "get")}
"""Pages for people and the document itself."""


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    """The document as served."""
    response = client.get("/openapi.json")
    assert response.status_code == 200
    return response.json()  # type: ignore[no-any-return]


def problems(value: Any, schema: Any, document: Any) -> list[str]:
    """Where ``value`` does not follow ``schema``."""
    validator = Draft202012Validator({**schema, "components": document["components"]})
    return [error.message for error in validator.iter_errors(value)]


def resolve(reference: str, document: Any) -> Any:
    """The part of the document that a ``$ref`` means."""
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_paths(client: TestClient, document: dict[str, Any]) -> None:
    """The document has every path and method that exists for the task, and no other."""
    app = client.app
    assert isinstance(app, Starlette)
    routes = [route for route in app.routes if isinstance(route, Route)]
    served = {(route.path, method.lower()) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    documented = {
        (path, method) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    other_tasks = {
        (path, "post") for path, protocol in PROTOCOLS.items() if "text-classification" not in protocol.tasks
    }
    assert other_tasks
    assert documented == served - UNLISTED - other_tasks


@pytest.mark.slow
def test_valid(client: TestClient, document: dict[str, Any]) -> None:
    """openapi-spec-validator accepts the document and a model's own."""
    OpenAPIV31SpecValidator(document).validate()
    own = client.get(f"/models/{client.get('/info').json()['served_as']}/openapi.json").json()
    OpenAPIV31SpecValidator(own).validate()


def test_version(document: dict[str, Any]) -> None:
    """It is OpenAPI 3.1, named and versioned after the bundle."""
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert document["info"]["title"]
    assert re.fullmatch(r"[0-9a-f]{12}", document["info"]["version"])


def test_references(document: dict[str, Any]) -> None:
    """Every ``$ref`` resolves."""
    references = re.findall(r"'\$ref': '([^']+)'", str(document))
    assert references
    assert all(resolve(reference, document) for reference in references)


def test_gets(client: TestClient, document: dict[str, Any]) -> None:
    """Every documented GET answers 200 with the documented media type."""
    info = client.get("/info").json()
    name, version = info["served_as"], info["bundle_sha256"][:12]
    for path, item in document["paths"].items():
        if "get" in item:
            response = client.get(path.format(model=name, version=version))
            assert response.status_code == 200
            told, found = item["get"]["responses"]["200"].get("content"), response.headers.get("content-type", "")
            assert found.split(";")[0] in told if told else not response.content


def schema_of(document: dict[str, Any], path: str, status: int) -> Any:
    """What the document says a POST's answer of that status is."""
    return document["paths"][path]["post"]["responses"][str(status)]["content"]["application/json"]["schema"]


@pytest.mark.parametrize("path", ["/predict", "/"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": "a"}, 200),
        ({"inputs": ["a", "b"], "parameters": {"top_k": 2, "function_to_apply": "sigmoid"}}, 200),
        ({"inputs": "a", "parameters": {"top_k": None}}, 200),
        ({"inputs": "a", "parameters": {}}, 200),
        ({"inputs": "a", "raw_scores": True, "truncate": None}, 200),
        ({"inputs": [["a"], ["b"]], "truncation_direction": "Left"}, 200),
        ({"inputs": ["a"], "truncate": False}, 200),
        ({"inputs": ["a"] * 129}, 413),
        ({"inputs": [["a"]] * 129}, 413),
        ({"inputs": [["a", "b"]]}, 422),
        ({"inputs": [["a"], "b"]}, 422),
        ({"inputs": "a", "raw_scores": 1}, 422),
        ({"inputs": "a", "raw_scores": False, "parameters": {}}, 422),
        ({"inputs": "a" * 100_001}, 413),
        ({"inputs": ""}, 422),
        ({"inputs": []}, 422),
        ({"inputs": [1]}, 422),
        ({"text": "a"}, 422),
        ({"inputs": "a", "options": {}}, 200),
        ({"inputs": "a", "options": {"wait_for_model": True}, "stream": False}, 200),
        ({"inputs": "a", "options": {"wait": True}}, 422),
        ({"inputs": "a", "stream": True}, 422),
        ({"inputs": "a", "parameters": {"truncation": "longest_first", "max_length": 9, "padding": True}}, 200),
        ({"inputs": "a", "parameters": {"truncation": "only_second"}}, 422),
        ({"inputs": "a", "parameters": {"return_all_scores": True}}, 200),
        ({"inputs": "a", "parameters": {"return_all_scores": 1}}, 422),
        ({"inputs": "a", "parameters": {"top_k": 0}}, 422),
        ({"inputs": "a", "parameters": {"top_k": "3"}}, 422),
        ({"inputs": "a", "parameters": {"top_k": True}}, 422),
        ({"inputs": "a", "parameters": {"function_to_apply": "relu"}}, 422),
        ({"inputs": "a", "parameters": []}, 422),
        ({"inputs": "a", "parameters": None}, 200),
        ({"inputs": "a", "parameters": {"top_k": 2.0}}, 200),
        ({"inputs": "a", "parameters": {"top_k": 2.5}}, 422),
        ({"inputs": "a", "parameters": {"truncate": 1.0}}, 422),
        ({"inputs": " \n\t\u2003"}, 422),
        ({"inputs": ["a", " "]}, 422),
        ({"inputs": "a", "truncation_direction": "LEFT"}, 200),
        ({"inputs": "a", "truncation_direction": "lefty"}, 422),
        ({"inputs": "a", "truncation_direction": None}, 422),
    ],
    ids=range(40),
)
def test_bodies(client: TestClient, document: dict[str, Any], path: str, body: Any, status: int) -> None:
    """The schema of the request accepts exactly what the server accepts, and each answer follows its own schema."""
    response = client.post(path, json=body)
    assert response.status_code == status
    post = document["paths"][path]["post"]
    accepted = not problems(body, post["requestBody"]["content"]["application/json"]["schema"], document)
    assert accepted == (status == 200)
    assert problems(response.json(), schema_of(document, path, status), document) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": "a", "normalize": False}, 200),
        ({"inputs": ["a", "b"], "dimensions": 2, "truncate": None, "prompt_name": None}, 200),
        ({"inputs": ["a", "b"], "parameters": {"dimensions": 2.0}}, 200),
        ({"inputs": "a", "normalize": None}, 422),
        ({"inputs": "a", "dimensions": 0}, 422),
        ({"inputs": "a", "prompt_name": "query"}, 422),
        ({"inputs": [["a"]], "normalize": False}, 422),
        ({"inputs": "a", "normalize": False, "parameters": {}}, 422),
    ],
    ids=range(8),
)
def test_vectors(task_client: Callable[[str], TestClient], body: Any, status: int) -> None:
    """The same for sentence vectors."""
    vectors = task_client("feature-extraction")
    document, response = vectors.get("/openapi.json").json(), vectors.post("/predict", json=body)
    assert response.status_code == status
    schema = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert (problems(body, schema, document) == []) == (status == 200)
    assert problems(response.json(), schema_of(document, "/predict", status), document) == []


def test_errors_are_documented(client: TestClient, document: dict[str, Any]) -> None:
    """Errors that no JSON body can cause are documented too."""
    for status, content, content_type in ((400, b"{", "application/json"), (415, b"{}", "text/plain")):
        response = client.post("/predict", content=content, headers={"content-type": content_type})
        assert response.status_code == status
        assert problems(response.json(), schema_of(document, "/predict", status), document) == []
    assert "429" in document["paths"]["/predict"]["post"]["responses"]


def test_check_bites(document: dict[str, Any]) -> None:
    """The check of schemas finds wrong answers."""
    schema = schema_of(document, "/predict", 200)
    label = document["components"]["schemas"]["Answers"]["items"]["items"]["properties"]["label"]["enum"][0]
    assert problems([[{"label": label, "score": 0.5}]], schema, document) == []
    wrong_scores = [{}, {"label": label}, {"label": "other", "score": 1}, {"label": label, "score": "1"}]
    for wrong in ({}, [{}], *([[each]] for each in wrong_scores)):
        assert problems(wrong, schema, document)


def test_a_name_like_a_part_of_the_template(tiny_bundle: Path) -> None:
    """Names and labels are inserted unchanged, even those that begin with a dollar sign."""
    with TestClient(create_app(*find_bundles([f"$json={tiny_bundle}"]))) as client:
        document = client.get("/openapi.json").json()
    assert document["paths"]["/models/{model}/info"]["parameters"][0]["schema"]["enum"] == ["$json"]


def test_docs_json(client: TestClient, document: dict[str, Any]) -> None:
    """/docs.json, where BentoML's documentation page looks, is the same document."""
    assert client.get("/docs.json").json() == document
