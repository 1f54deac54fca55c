"""Similarity, as text-embeddings-inference serves it and Hugging Face's client asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from huggingface_hub import InferenceClient
from starlette.testclient import TestClient

from serving.inference.predictor import Predictor
from tests.serving.processes import ServerProcess

Clients = Callable[[str], TestClient]
SOURCE, OTHERS = "where is my parcel?", ["refund order 17", "where is my parcel?", "我的卡"]


@pytest.fixture(scope="module")
def cosines(task_predictor: Callable[[str], Predictor]) -> list[float]:
    """Of the predictor's vectors."""
    source, *others = np.array(task_predictor("feature-extraction").predict([SOURCE, *OTHERS]))
    return [float(other @ source) for other in others]


@pytest.mark.parametrize("path", ["/similarity", "/tei/similarity", "/predict", "/"])
def test_cosines(task_client: Clients, cosines: list[float], path: str) -> None:
    """In the order of the sentences; of equal texts 1."""
    body = {"inputs": {"source_sentence": SOURCE, "sentences": OTHERS}, "parameters": {}}
    answer = task_client("feature-extraction").post(path, json=body).json()
    assert answer == pytest.approx(cosines, abs=1e-5)
    assert answer[1] == pytest.approx(1.0)
    assert max(answer) <= 1.0


@pytest.mark.slow
def test_hugging_faces_client(task_server: Callable[[str], ServerProcess], cosines: list[float]) -> None:
    """As it is, against a real server."""
    client = InferenceClient(task_server("feature-extraction").url)
    assert client.sentence_similarity(SOURCE, other_sentences=OTHERS) == pytest.approx(cosines, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"inputs": {"source_sentence": "a"}}, 422, "inputs.sentences: Field required"),
        ({"inputs": {"source_sentence": "a", "sentences": []}}, 422, "inputs.sentences: List should have at least 1"),
        ({"inputs": {"source_sentence": "a", "sentences": "b"}}, 422, "inputs.sentences: Input should be a valid list"),
        ({"inputs": {"source_sentence": " ", "sentences": ["b"]}}, 422, "inputs.source_sentence is empty"),
        ({"inputs": {"source_sentence": "a", "sentences": ["b", 1]}}, 422, "inputs.sentences[1] must be a text"),
        ({"inputs": {"source_sentence": "a", "sentences": ["b"] * 129}}, 413, "`inputs.sentences` holds 129 texts"),
        (
            {"inputs": {"source_sentence": "a", "sentences": ["b " * 999]}, "parameters": {"truncate": False}},
            422,
            "inputs.sentences[0] has ",
        ),
        ({"inputs": "a"}, 422, "inputs: Input should be an object"),
    ],
)
def test_refused(task_client: Clients, body: Any, status: int, message: str) -> None:
    """The message names the sentence."""
    response = task_client("feature-extraction").post("/similarity", json=body)
    assert (response.status_code, response.json()["error"][: len(message)]) == (status, message)


@pytest.mark.parametrize("path", ["/similarity", "/predict"])
def test_other_tasks(client: TestClient, path: str) -> None:
    """Say which task has it."""
    response = client.post(path, json={"inputs": {"source_sentence": "a", "sentences": ["b"]}})
    assert response.status_code == 422
    assert "the similarity of sentences is that of their vectors, and this bundle's task is text-cla" in response.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": [[9906, 1917]]}),
        ("/v1/embeddings", {"input": [9906, 1917]}),
        ("/embed", {"inputs": [[9906, 1917]]}),
    ],
)
def test_token_ids(task_client: Clients, path: str, body: Any) -> None:
    """They are those of another tokenizer, as LangChain sends them."""
    response = task_client("feature-extraction").post(path, json=body)
    assert response.status_code == 422
    assert "holds token ids, and this model has a tokenizer of its own; send texts" in response.text
    assert ("check_embedding_ctx_length=False" in response.text) == (path == "/v1/embeddings")
