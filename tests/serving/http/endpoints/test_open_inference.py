"""The Open Inference Protocol over HTTP, by Triton's client and by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from starlette.testclient import TestClient
from tritonclient.utils import InferenceServerException

from serving.inference.predictor import Predictor
from tests.serving.processes import ServerProcess

TEXTS = ["where is my parcel?", "stop it 🎉", "我的卡还没有到"]


@pytest.fixture(scope="module")
def client_of_triton(server: ServerProcess) -> Iterator[triton.InferenceServerClient]:
    """Triton's client of a real server."""
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


@pytest.fixture(scope="module")
def name(predictor: Predictor) -> str:
    """What the model is served as."""
    return predictor.manifest.name


def tensor(texts: list[str], *, binary: bool) -> triton.InferInput:
    found = triton.InferInput("text", [len(texts)], "BYTES")
    return found.set_data_from_numpy(np.array(texts, dtype=np.object_), binary_data=binary)


def ask(client: TestClient, name: str, content: Any, **headers: str) -> Any:
    return client.post(f"/v2/models/{name}/infer", content=json.dumps(content), headers=headers)


def request_of(*texts: str, **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}], **more}


def test_health_and_metadata(client_of_triton: triton.InferenceServerClient, predictor: Predictor, name: str) -> None:
    """Triton's client finds server and model ready, and the model's tensors."""
    version = predictor.manifest.digest[:12]
    assert client_of_triton.is_server_live()
    assert client_of_triton.is_server_ready()
    assert client_of_triton.is_model_ready(name)
    assert client_of_triton.is_model_ready(name, version)
    assert not client_of_triton.is_model_ready("another")
    assert not client_of_triton.is_model_ready(name, "another")
    assert client_of_triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    told = client_of_triton.get_model_metadata(name)
    assert (told["name"], told["versions"]) == (name, [version])
    assert [each["name"] for each in told["outputs"]] == ["label", "score", "output"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_infer(
    client_of_triton: triton.InferenceServerClient, predictor: Predictor, name: str, binary_in: bool, binary_out: bool
) -> None:
    """Tensors may be binary or JSON in both directions; the answers are the predictor's."""
    wanted = [triton.InferRequestedOutput(each, binary_data=binary_out) for each in ("label", "score", "output")]
    result = client_of_triton.infer(name, [tensor(TEXTS, binary=binary_in)], outputs=wanted, request_id="7")
    answers = predictor.predict(TEXTS)
    labels, scores = result.as_numpy("label"), result.as_numpy("score")
    assert result.get_response()["id"] == "7"
    assert scores.dtype == np.float32
    assert scores == pytest.approx(np.array([[each["score"] for each in answer] for answer in answers]), abs=1e-5)
    found = [[label.decode() if binary_out else label for label in row] for row in labels]
    assert found == [[each["label"] for each in answer] for answer in answers]
    first = result.as_numpy("output")[0]
    assert json.loads(first)[0]["label"] == answers[0][0]["label"]


def test_everything_in_binary_unasked(client_of_triton: triton.InferenceServerClient, name: str) -> None:
    """Without named outputs Triton's client gets all of them in binary; parameters take effect."""
    result = client_of_triton.infer(name, [tensor(TEXTS, binary=True)], parameters={"top_k": 1})
    assert result.as_numpy("label").shape == result.as_numpy("score").shape == (3, 1)
    assert len(result.as_numpy("output")) == 3


def test_refusals_reach_the_client(client_of_triton: triton.InferenceServerClient, name: str) -> None:
    """Triton's client shows the error's message."""
    with pytest.raises(InferenceServerException, match=r"inputs\[1\] is empty"):
        client_of_triton.infer(name, [tensor(["a", ""], binary=True)])
    with pytest.raises(InferenceServerException, match="no model is named 'another'"):
        client_of_triton.infer("another", [tensor(["a"], binary=True)])


def test_versions(client: TestClient, predictor: Predictor, name: str) -> None:
    """A model answers under its version; another version is a 404."""
    content = json.dumps(request_of("a"))
    version = predictor.manifest.digest[:12]
    assert client.post(f"/v2/models/{name}/versions/{version}/infer", content=content).status_code == 200
    response = client.post(f"/v2/models/{name}/versions/9/infer", content=content)
    assert (response.status_code, response.json()["error"]) == (
        404,
        f"{name} has no version '9'; served is '{version}'",
    )


def test_truncation(client: TestClient, name: str) -> None:
    """Truncated inputs are a parameter of the answer, or refused."""
    long = "where is my parcel " * 50
    assert "parameters" not in ask(client, name, request_of("a")).json()
    assert ask(client, name, request_of("a", long)).json()["parameters"] == {"truncated": "1"}
    response = ask(client, name, request_of(long, parameters={"truncate": False}))
    assert (response.status_code, "allow truncate" in response.json()["error"]) == (422, True)


def test_content_type(client: TestClient, name: str) -> None:
    """Another content type is a 415."""
    assert ask(client, name, request_of("a"), **{"Content-Type": "text/plain"}).status_code == 415


@pytest.mark.parametrize("value", ["x", "-1", "+1", "1_0", "1.5", "", "\xb2", "9" * 5000])
def test_header_length(client: TestClient, name: str, value: str) -> None:
    """A malformed header length is a 400 with a short quote."""
    headers = [(b"inference-header-content-length", value.encode("latin-1"))]
    response = client.post(f"/v2/models/{name}/infer", content=json.dumps(request_of("a")), headers=headers)
    assert (response.status_code, "a number of bytes is accepted" in response.json()["error"]) == (400, True)
    assert len(response.content) < 250


def test_a_shape_of_many_sizes(client: TestClient, name: str) -> None:
    """A shape with too many dimensions is refused first."""
    content = request_of("hi")
    content["inputs"][0]["shape"] = [999_999_999_999_999_999] * 10_000
    response = ask(client, name, content)
    assert (response.status_code, response.json()["error"].partition(",")[0]) == (
        422, "inputs.0.shape: List should have at most 8 items after validation",
    )  # fmt: skip
