"""SageMaker's endpoints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.inference.predictor import Predictor

LINES = {"Content-Type": "application/jsonlines"}


def lines_of(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def rounded(answer: str) -> Any:
    """An answer without the digits that differ by what else is in its batch."""
    return json.loads(answer, parse_float=lambda number: round(float(number), 4))


def test_ping(client: TestClient) -> None:
    """A ready server answers 200."""
    assert client.get("/ping").status_code == 200


def test_json(client: TestClient) -> None:
    """JSON gets the answer of /predict."""
    body = {"inputs": ["stop it", "refund it"], "parameters": {"top_k": 1}}
    assert client.post("/invocations", json=body).json() == client.post("/predict", json=body).json()


def test_lines(client: TestClient, predictor: Predictor) -> None:
    """Each line gets a line of answers, in order, for one input or several."""
    rows = [{"inputs": "stop it"}, {"inputs": ["refund it", "where is my parcel?"]}]
    response = client.post("/invocations", content=lines_of(*rows), headers=LINES)
    assert response.headers["content-type"] == "application/jsonlines"
    answers = [json.loads(line) for line in response.text.splitlines()]
    assert [len(each) for each in answers] == [1, 2]
    found = [answer[0]["label"] for line in answers for answer in line]
    texts = ["stop it", "refund it", "where is my parcel?"]
    assert found == [answer[0]["label"] for answer in predictor.predict(texts)]


def test_a_lone_answer(task_client: Any) -> None:
    """A lone answer is bare where the task's are."""
    inputs = {"question": "who?", "context": "Ada flew to Oslo"}
    response = task_client("question-answering").post(
        "/invocations", content=lines_of({"inputs": inputs}), headers=LINES
    )
    assert set(json.loads(response.text)) == {"answer", "score", "start", "end"}


@pytest.mark.parametrize(
    ("toy", "rows"),
    [
        (
            "text-classification",
            [{"inputs": "a b", "raw_scores": True}, {"inputs": [["c"], ["d"]], "raw_scores": True}],
        ),
        ("text pairs", [{"inputs": ["a", "b"]}, {"inputs": [["a", "b"], ["c", "d"]]}]),
        ("feature-extraction", [{"inputs": "a b", "normalize": False}]),
        ("question-answering", [{"inputs": {"question": "who?", "context": "Ada flew to Oslo"}}]),
    ],
)
def test_every_shape(task_client: Any, toy: str, rows: list[Any]) -> None:
    """A line may have any shape of /predict, and its answer has that shape."""
    client = task_client(toy)
    response = client.post("/invocations", content=lines_of(*rows), headers=LINES)
    answers = [rounded(line) for line in response.text.splitlines()]
    assert answers == [rounded(client.post("/predict", json=row).text) for row in rows]


def test_content_type(client: TestClient) -> None:
    """Another content type is a 415 that lists the accepted ones."""
    response = client.post("/invocations", content="a,b", headers={"Content-Type": "text/csv"})
    assert (response.status_code, response.json()["error"]) == (
        415,
        "send Content-Type: application/json or application/jsonl or application/jsonlines or application/x-jsonlines,"
        " not text/csv",
    )


def test_no_line_is_read_in_vain(client: TestClient) -> None:
    """Too many lines are refused before any is parsed."""
    response = client.post("/invocations", content="{\n" * 129, headers=LINES)
    assert (response.status_code, response.json()["error"][:21]) == (413, "the lines hold 129 in")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("", 422, "the body has no lines"),
        (lines_of({"inputs": "a"}, {"inputs": ""}), 422, "line 2: inputs is empty"),
        (lines_of({"inputs": "a"}) + "\n{", 400, "line 3: the body is not valid JSON"),
        (lines_of({"inputs": "a"}, {"inputs": "b", "parameters": {"top_k": 1}}), 422, "line 2: its parameters are not"),
        (lines_of(*[{"inputs": "a"}] * 129), 413, "the lines hold 129 inputs; a request may hold 128"),
    ],
)  # fmt: skip
def test_refused(client: TestClient, body: str, status: int, message: str) -> None:
    """An invalid line is named, and no line is answered."""
    response = client.post("/invocations", content=body, headers=LINES)
    assert (response.status_code, response.json()["error"][: len(message)]) == (status, message)


def test_other_types(client: TestClient) -> None:
    """Neither JSON nor JSON lines: a 415 with all that is accepted."""
    response = client.post("/invocations", content="a,b", headers={"Content-Type": "text/csv"})
    assert response.status_code == 415
    assert {"application/json", "application/jsonlines"} <= set(response.json()["error"].replace(",", "").split())
