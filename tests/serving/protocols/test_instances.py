"""`{"instances": …}` of Vertex AI, TensorFlow Serving and KServe."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

TEXTS = ["stop it", "refund it"]


@pytest.mark.parametrize("path", ["/predict", "/", "/invocations", "/v1/models/{name}:predict"])
def test_predictions(client: TestClient, path: str) -> None:
    """The answers of /predict, at Vertex AI's routes and at the protocol's own."""
    path = path.format(name=client.get("/info").json()["served_as"])
    body = {"instances": TEXTS, "parameters": {"top_k": 1}}
    expected = client.post("/predict", json={"inputs": TEXTS, "parameters": {"top_k": 1}}).json()
    assert client.post(path, json=body).json() == {"predictions": expected}


@pytest.mark.parametrize("instance", [{"text": "stop it"}, {"content": "stop it"}, {"inputs": "stop it"}])
def test_an_instance_with_one_key(client: TestClient, instance: Any) -> None:
    """It may be an object around the text."""
    answers = [client.post("/predict", json={"instances": [each]}).json() for each in (instance, "stop it")]
    assert answers[0] == answers[1]


def test_objects(task_client: Any) -> None:
    """Of a task that reads objects."""
    asked = {"question": "who?", "context": "Ada flew to Oslo"}
    client = task_client("question-answering")
    expected = client.post("/predict", json={"inputs": [asked]}).json()
    assert client.post("/predict", json={"instances": [asked]}).json() == {"predictions": expected}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": []}, "instances: List should have at least 1 item"),
        ({"instances": "a"}, "instances: Input should be a valid list"),
        ({"instances": ["a", ""]}, "instances[1] is empty"),
        ({"instances": [{"features": ["a"]}]}, "instances[0] must be a text, found an object"),
        ({"instances": ["a"], "inputs": "a"}, "inputs: Extra inputs are not permitted; accepted are: instances"),
        ({"instances": ["a"], "parameters": {"x": 1}}, "parameters.x: Extra inputs"),
        ({"instances": ["a"], "signature_name": "x"}, "signature_name: Input should be 'serving_default'"),
    ],
)
def test_refused(client: TestClient, body: Any, message: str) -> None:
    """The message names the instance, and what is accepted."""
    answer = client.post("/predict", json=body)
    assert (answer.status_code, answer.json()["error"][: len(message)]) == (422, message)


def test_a_path_without_instances_says_so(client: TestClient) -> None:
    """TensorFlow Serving's other shape has columns."""
    name = client.get("/info").json()["served_as"]
    answer = client.post(f"/v1/models/{name}:predict", json={"inputs": ["a"]})
    assert (answer.status_code, "accepted are: instances, parameters" in answer.json()["error"]) == (422, True)
