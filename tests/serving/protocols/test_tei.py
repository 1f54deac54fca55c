"""The formats of text-embeddings-inference, and those of Hugging Face's inference API at the same paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from huggingface_hub import InferenceClient
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.inference.predictor import Predictor
from tests.serving.processes import ServerProcess

Clients = Callable[[str], TestClient]
Predictors = Callable[[str], Predictor]

TEXT, OTHER = "where is my parcel?", "refund order 17"
LONG = "refund " * 200 + "parcel"
PAIRS = "text pairs"


def post(client: TestClient, path: str, **body: Any) -> Any:
    """The answer to a body that is accepted."""
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def near(answer: Any) -> Any:
    """The same, up to the rounding between batch sizes."""
    if isinstance(answer, list):
        return [near(each) for each in answer]
    return {**answer, "score": pytest.approx(answer["score"], abs=1e-5)}


def refusal(client: TestClient, path: str, **body: Any) -> tuple[int, str, str]:
    """The status, type and message of an error."""
    response = client.post(path, json=body)
    assert response.json().keys() == {"error", "error_type"}
    return response.status_code, response.json()["error_type"], response.json()["error"]


def test_one_input_is_flat(client: TestClient, predictor: Predictor) -> None:
    """At /tei/predict a single text's labels are a flat list, a batch's are lists; a list of one text is that text."""
    one, other = near(predictor.predict([TEXT, OTHER]))
    assert post(client, "/tei/predict", inputs=TEXT) == one
    assert post(client, "/tei/predict", inputs=[TEXT]) == one
    assert post(client, "/tei/predict", inputs=[[TEXT]]) == [one]
    assert post(client, "/tei/predict", inputs=[[TEXT], [OTHER]]) == [one, other]
    scores = [each["score"] for each in post(client, "/tei/predict", inputs=TEXT)]
    assert scores == sorted(scores, reverse=True)


def test_the_inference_api_beside_it(client: TestClient, predictor: Predictor) -> None:
    """At /predict and / a body of both formats is the inference API's, with nested answers."""
    one, other = near(predictor.predict([TEXT, OTHER]))
    for path in ("/predict", "/"):
        assert post(client, path, inputs=TEXT) == [one]
        assert post(client, path, inputs=[TEXT, OTHER]) == [one, other]
        assert post(client, path, inputs=TEXT, parameters={"top_k": 1}) == [one[:1]]


@pytest.mark.parametrize("path", ["/predict", "/", "/tei/predict"])
def test_what_only_one_shape_knows(client: TestClient, predictor: Predictor, path: str) -> None:
    """A body that can only be text-embeddings-inference's is answered in its format at all paths."""
    one, other = near(predictor.predict([TEXT, OTHER]))
    assert post(client, path, inputs=TEXT, truncate=True) == one
    assert post(client, path, inputs=TEXT, raw_scores=False) == one
    assert post(client, path, inputs=[[TEXT], [OTHER]]) == [one, other]
    raw = post(client, path, inputs=TEXT, raw_scores=True)
    assert [each["label"] for each in raw] == [each["label"] for each in one]
    scores = np.exp([each["score"] for each in raw])
    assert [{"score": float(each)} for each in scores / scores.sum()] == [{"score": each["score"]} for each in one]


@pytest.mark.parametrize("path", ["/predict", "/tei/predict"])
def test_pairs(task_client: Clients, task_predictor: Predictors, path: str) -> None:
    """For a model of pairs, two texts are a pair, and a batch is a list of pairs."""
    pairs = [{"text": TEXT, "text_pair": OTHER}, {"text": OTHER, "text_pair": TEXT}]
    one, other = near(task_predictor(PAIRS).predict(pairs))
    assert post(task_client(PAIRS), path, inputs=[TEXT, OTHER]) == one
    assert post(task_client(PAIRS), path, inputs=[[TEXT, OTHER], [OTHER, TEXT]]) == [one, other]
    assert post(task_client(PAIRS), "/predict", inputs=pairs) == [one, other]


@pytest.mark.slow
def test_every_label_of_many(task_client: Clients) -> None:
    """Multi-label answers have all labels, not only those above the threshold; raw scores are the logits."""
    toy = "multi-label-classification"
    labels = task_client(toy).get("/info").json()["labels"]
    told = post(task_client(toy), "/tei/predict", inputs=TEXT)
    assert sorted(each["label"] for each in told) == sorted(labels)
    raw = post(task_client(toy), "/tei/predict", inputs=TEXT, raw_scores=True)
    assert [1 / (1 + np.exp(-each["score"])) for each in raw] == pytest.approx([each["score"] for each in told])


def test_truncation(client: TestClient, predictor: Predictor) -> None:
    """The caller chooses which end is truncated, in either spelling and format, or that none is."""
    tail = near(predictor.predict([" ".join(LONG.split()[-(predictor.manifest.tokenizer.max_length - 2) :])])[0])
    head = near(predictor.predict([LONG])[0])
    assert predictor.predict([LONG])[0] != tail
    for direction, wanted in (("right", head), ("Right", head), ("left", tail), ("Left", tail)):
        response = client.post("/tei/predict", json={"inputs": LONG, "truncation_direction": direction})
        assert response.json() == wanted
        assert response.headers["x-truncated"] == "0"
    ours = {"inputs": LONG, "parameters": {"truncation_direction": "left"}}
    assert client.post("/predict", json=ours).json() == [tail]
    assert post(client, "/tei/predict", inputs=LONG, truncate=None) == head
    status, kind, message = refusal(client, "/tei/predict", inputs=LONG, truncate=False)
    assert (status, kind) == (422, "validation")
    assert f"inputs has {len(LONG.split()) + 2} tokens" in message


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"inputs": [TEXT, OTHER]}, 422, "inputs is a pair, and this model reads single texts"),
        ({"inputs": [[TEXT, OTHER]]}, 422, "inputs[0] is a pair"),
        ({"inputs": [[TEXT], TEXT]}, 422, "inputs[1] must be a list of one or two texts"),
        ({"inputs": [["a", "b", "c"]]}, 422, "inputs[0] must be a list of one or two texts"),
        ({"inputs": []}, 422, "`inputs` is an empty list"),
        ({"inputs": [[""]]}, 422, "inputs[0] is empty"),
        ({"inputs": ""}, 422, "inputs is empty"),
        ({"inputs": TEXT, "truncation_direction": "up"}, 422, "truncation_direction: "),
        ({"inputs": TEXT, "top_k": 1}, 422, "top_k: Extra inputs are not permitted; accepted are: inputs, truncate"),
        ({"inputs": [[TEXT]] * 129}, 413, "`inputs` holds 129 texts"),
        ({}, 422, "inputs: Field required"),
    ],
)
def test_refused(client: TestClient, body: Any, status: int, message: str) -> None:
    """Errors name the field, in the protocol's error format."""
    found, _, error = refusal(client, "/tei/predict", **body)
    assert (found, error[: len(message)]) == (status, message)


def test_another_task(task_client: Clients) -> None:
    """A model without labels is an error that says so."""
    status, _, message = refusal(task_client("feature-extraction"), "/tei/predict", inputs=TEXT)
    assert (status, "this bundle's task is feature-extraction" in message) == (422, True)
    assert refusal(task_client("text-classification"), "/tei/embed", inputs=TEXT)[0] == 422


@pytest.mark.parametrize("path", ["/embed", "/tei/embed"])
def test_embed(task_client: Clients, task_predictor: Predictors, path: str) -> None:
    """Vectors have length 1 unless ``normalize`` is false, and read either end of a long text."""
    toy = "feature-extraction"
    one, other = task_predictor(toy).predict([TEXT, OTHER])
    close = [pytest.approx(each, abs=1e-5) for each in (one, other)]
    assert post(task_client(toy), path, inputs=TEXT) == close[:1]
    assert post(task_client(toy), path, inputs=[TEXT, OTHER], truncate=True) == close
    (raw,) = post(task_client(toy), path, inputs=TEXT, normalize=False)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-6)
    assert np.asarray(raw) / np.linalg.norm(raw) == pytest.approx(one, abs=1e-6)
    ends = [post(task_client(toy), path, inputs=LONG, truncation_direction=each) for each in ("Left", "right")]
    assert ends[0] != ends[1]
    assert refusal(task_client(toy), path, inputs=LONG, truncate=False)[0] == 422


@pytest.mark.parametrize("path", ["", "/predict", "/embed", "/tei/embed"])
def test_huggingface_client(task_server: Callable[[str], ServerProcess], task_predictor: Predictors, path: str) -> None:
    """huggingface_hub's client sends the options of text-embeddings-inference and gets vectors."""
    toy = "feature-extraction"
    client, (wanted,) = InferenceClient(task_server(toy).url + path), task_predictor(toy).predict([TEXT])
    assert client.feature_extraction(TEXT).tolist() == [pytest.approx(wanted, abs=1e-6)]
    raw = client.feature_extraction(TEXT, normalize=False, truncate=True, truncation_direction="left")
    assert raw.shape == (1, len(wanted))
    assert np.linalg.norm(raw) != pytest.approx(1, abs=1e-3)


def test_health(client: TestClient, tiny_bundle: Any) -> None:
    """/health is 200 without a body when ready, else 503."""
    for path in ("/health", "/tei/health"):
        ready = client.get(path)
        assert (ready.status_code, ready.content) == (200, b"")
    early = TestClient(create_app(lambda: Predictor.open(tiny_bundle))).get("/health")
    assert (early.status_code, early.json()["error_type"]) == (503, "unhealthy")


@pytest.mark.slow
def test_info(client: TestClient, predictor: Predictor, task_client: Clients) -> None:
    """/info has the protocol's keys beside ours; its clients use /tei/info and /tei/metrics."""
    info = client.get("/info").json()
    assert client.get("/tei/info").json() == info
    assert client.get(f"/models/{info['served_as']}/tei/info").json() == info
    assert client.get("/tei/metrics").status_code == 200
    assert info["max_input_length"] == info["limits"]["max_length"]
    assert info["max_client_batch_size"] == info["limits"]["max_inputs"]
    assert info["max_concurrent_requests"] == info["limits"]["max_queue"]
    assert (info["max_batch_tokens"], info["model_dtype"]) == (predictor.shape.tokens, "float32")
    labels = info["model_type"]["classifier"]
    assert [labels["id2label"][str(place)] for place in range(len(info["labels"]))] == info["labels"]
    assert labels["label2id"] == {label: place for place, label in enumerate(info["labels"])}
    assert "embedding" in task_client("feature-extraction").get("/info").json()["model_type"]
    assert "model_type" not in task_client("token-classification").get("/info").json()
