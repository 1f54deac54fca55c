"""Texts in the order of their scores beside a query, in both shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.bundle.manifest import Limits
from serving.errors import InputError
from serving.inference.predictor import Predictor
from serving.protocols.base import Reply
from serving.protocols.rerank import parse, render
from serving.tasks import TASKS
from serving.tasks.base import Task

Clients = Callable[[str], TestClient]
QUERY, TEXTS = "where is my parcel?", ["refund order 17", "track order 5", "where is it?"]


@pytest.fixture(scope="module")
def ranks(task_predictor: Callable[[str], Predictor]) -> list[tuple[int, float]]:
    """The predictor's numbers of a regression, largest first."""
    pairs = [{"text": QUERY, "text_pair": text} for text in TEXTS]
    scores = [answer[0]["score"] for answer in task_predictor("scored pairs").predict(pairs)]
    return sorted(enumerate(scores), key=lambda each: -each[1])


@pytest.mark.parametrize("path", ["/rerank", "/tei/rerank"])
@pytest.mark.parametrize("raw", [False, True])
def test_text_embeddings_inference(task_client: Clients, ranks: list[tuple[int, float]], path: str, raw: bool) -> None:
    """Index and score, with the text where it is asked for."""
    body = {"query": QUERY, "texts": TEXTS, "raw_scores": raw, "return_text": raw}
    answer = task_client("scored pairs").post(path, json=body).json()
    assert [each["index"] for each in answer] == [index for index, _ in ranks]
    assert [each["score"] for each in answer] == pytest.approx([score for _, score in ranks], abs=1e-4)
    assert [each.get("text") for each in answer] == [TEXTS[index] if raw else None for index, _ in ranks]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_documents(task_client: Clients, ranks: list[tuple[int, float]], path: str) -> None:
    """As Cohere, Jina and vLLM: the best few."""
    documents = [TEXTS[0], {"text": TEXTS[1]}, TEXTS[2]]
    body = {"model": "m", "query": QUERY, "documents": documents, "top_n": 2, "return_documents": True}
    answer = task_client("scored pairs").post(path, json=body).json()
    assert answer["model"] == "m"
    assert answer["usage"]["total_tokens"] > 0
    assert [each["index"] for each in answer["results"]] == [index for index, _ in ranks[:2]]
    assert [each["document"]["text"] for each in answer["results"]] == [TEXTS[index] for index, _ in ranks[:2]]
    assert answer["results"][0]["relevance_score"] == pytest.approx(ranks[0][1], abs=1e-4)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"query": "a", "texts": ["b", " "]}, 422, "texts[1] is empty"),
        ({"query": "a", "texts": "b"}, 422, "texts must be a list of texts"),
        ({"query": "a", "texts": []}, 422, "`texts` is an empty list"),
        ({"query": ["a"], "texts": ["b"]}, 422, "query must be a text, found a list"),
        ({"query": "a", "texts": ["b"] * 129}, 413, "`texts` holds 129 texts; a request may hold 128"),
        ({"query": "a" * 99_999, "texts": ["b"] * 99}, 413, "query has 99,999 characters beside 99 texts; together at"),
        ({"query": "a", "documents": [{"title": "b"}]}, 422, "documents[0] must be a text, found an object"),
        ({"query": "a", "documents": ["b"], "top_n": 0}, 422, "top_n: "),
        ({"texts": ["b"]}, 422, "query: Field required; accepted are: query, texts, raw_scores"),
    ],
)
def test_refused(task_client: Clients, body: Any, status: int, message: str) -> None:
    """The message names the text."""
    response = task_client("scored pairs").post("/rerank", json=body)
    assert (response.status_code, response.json()["error"][: len(message)]) == (status, message)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "message"),
    [
        ("feature-extraction", "this model gives vectors; send to /similarity"),
        ("text-classification", "reranking scores a query beside each text, and this model reads single texts"),
        ("text pairs", "reranking needs a number, or two labels of which one means yes"),
        ("question-answering", "and this bundle's task is question-answering"),
    ],
)
def test_other_models(task_client: Clients, toy: str, message: str) -> None:
    """Say what kind of model has it."""
    response = task_client(toy).post("/rerank", json={"query": "a", "texts": ["b"]})
    assert response.status_code == 422
    assert message in response.json()["error"]


def classifier(*labels: str, **settings: Any) -> Task:
    """Of pairs."""
    kind = TASKS["text-classification"]
    return kind(labels, kind.settings_type.model_validate({"pair": True, **settings}), Limits())


@pytest.mark.parametrize(
    ("task", "relevant"),
    [
        (classifier("relevant", "irrelevant"), "relevant"),
        (classifier("0", "1"), "1"),
        (classifier("a", "b", one_logit=True), "b"),
    ],
)
def test_two_labels(task: Task, relevant: str) -> None:
    """The probability of the label that means yes ranks."""
    request = parse(b'{"query": "q", "texts": ["x", "y"]}', task, task.check)
    assert request.items == [("q", "x"), ("q", "y")]
    (other,) = set(task.labels) - {relevant}
    answers = [[{"label": relevant, "score": s}, {"label": other, "score": 1 - s}] for s in (0.25, 0.75)]
    assert render(task, request, Reply([], [], answers, answers)) == [
        {"index": 1, "score": 0.75},
        {"index": 0, "score": 0.25},
    ]


def test_labels_that_do_not_say_which() -> None:
    """Are refused: a guess could turn the order round."""
    task = classifier("good", "bad")
    with pytest.raises(InputError, match=r"two labels of which one means yes .*; this model's labels are good, bad"):
        parse(b'{"query": "q", "texts": ["x"]}', task, task.check)
