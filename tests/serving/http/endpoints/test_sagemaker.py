"""SageMaker's endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.settings.platforms import Platform

LINES = {"Content-Type": "application/jsonlines"}


def lines_of(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def rounded(answer: str) -> Any:
    """An answer without the digits that differ by what else is in its batch."""
    return json.loads(answer, parse_float=lambda number: round(float(number), 4))


@pytest.fixture
def job(predictor: Predictor) -> Iterator[TestClient]:
    """A client of an app that a batch transform job has started."""
    with TestClient(create_app(lambda: predictor, platform=Platform(transforms=True))) as client:
        yield client


def test_ping(client: TestClient) -> None:
    """A ready server answers 200, and nothing with it."""
    answer = client.get("/ping")
    assert (answer.status_code, answer.content) == (200, b"")


def test_execution_parameters(client: TestClient) -> None:
    """What a job takes for what it leaves open: bodies of the bundle's size, within SageMaker's 100 MB together."""
    assert client.get("/execution-parameters").json() == {
        "MaxConcurrentTransforms": 25, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 4,
    }  # fmt: skip


def test_a_jobs_refusals(job: TestClient, client: TestClient) -> None:
    """A line that cannot be answered gets an error in its place: a job would end with the first status of 400."""
    rows = [{"inputs": "stop it"}, {"inputs": ""}, {"inputs": ["refund it"]}, {"input": "a"}]
    body = lines_of(*rows[:2]) + "{\n" + lines_of(*rows[2:])
    answers = [json.loads(line) for line in job.post("/invocations", content=body, headers=LINES).text.splitlines()]
    errors = [(each["error"], each["error_type"]) for each in answers if isinstance(each, dict)]
    assert [isinstance(each, list) for each in answers] == [True, False, False, True, False]
    assert errors[0] == ("line 2: inputs is empty; a text needs at least one visible character", "validation")
    assert (errors[1][0][:7], errors[1][1]) == ("line 3:", "malformed")
    found = [rounded(json.dumps(answers[at])) for at in (0, 3)]
    assert found == [rounded(client.post("/predict", json=rows[at]).text) for at in (0, 2)]


@pytest.mark.parametrize("body", ["", "{}\n", lines_of({"inputs": "a " * 500, "truncate": False})])
def test_a_jobs_only_line(job: TestClient, body: str) -> None:
    """One record, one line."""
    answer = job.post("/invocations", content=body, headers=LINES)
    (line,) = answer.text.splitlines()
    assert (answer.status_code, json.loads(line).keys()) == (200, {"error", "error_type"})


def test_a_long_text_of_a_job(job: TestClient) -> None:
    """One that may not be truncated is told, and the others are answered."""
    texts = ["stop it", "a " * 500, "refund it"]
    body = lines_of(*({"inputs": text, "truncate": False} for text in texts))
    answers = [json.loads(line) for line in job.post("/invocations", content=body, headers=LINES).text.splitlines()]
    assert ["error" in each for each in answers] == [False, True, False]
    parameters = lines_of({"inputs": "a"}, {"inputs": "b", "parameters": {"top_k": 1}})
    assert '{"error": "line 2: its parameters' in job.post("/invocations", content=parameters, headers=LINES).text


@pytest.mark.parametrize(
    ("given", "text", "answered"),
    [
        (None, "stop it", None),
        (None, "stop it " * 99, None),
        ("trace-17", "stop it", "trace-17"),
        ("trace-17", "stop it " * 99, "trace-17;X-Truncated=0"),
        ("a" * 1024, "stop it", "a" * 1024),
        ("a" * 1025, "stop it", None),
        ("\u00e9", "stop it", None),
    ],
)
def test_custom_attributes(client: TestClient, given: str | None, text: str, answered: str | None) -> None:
    """Come back, with what SageMaker would not hand on: which inputs were cut."""
    name = "X-Amzn-SageMaker-Custom-Attributes"
    headers = {name: given.encode("latin-1")} if given else {}
    answer = client.post("/invocations", json={"inputs": text}, headers=headers)
    assert (answer.status_code, answer.headers.get(name)) == (200, answered)


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


CSV = {"Content-Type": "text/csv"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ('stop it\n"refund, it"\n', "text/csv"),
        ('\ufeffinputs\r\nstop it\r\n\r\n"refund, it"', "text/csv; charset=utf-8"),
        ('any\nstop it\n"refund, it"\n', "text/csv; header=present"),
    ],
)
def test_csv(client: TestClient, content: str, kind: str) -> None:
    """Each row is a text; a header is known by its name, or told."""
    answer = client.post("/invocations", content=content.encode(), headers={"Content-Type": kind})
    assert answer.json() == client.post("/predict", json={"inputs": ["stop it", "refund, it"]}).json()


def test_csv_of_objects(task_client: Any) -> None:
    """The columns are the keys of an input."""
    client = task_client("question-answering")
    content = "question,context\nwho?,Ada flew to Oslo\n"
    inputs = [{"question": "who?", "context": "Ada flew to Oslo"}]
    answer = client.post("/invocations", content=content, headers=CSV)
    assert answer.json() == client.post("/predict", json={"inputs": inputs}).json()


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"a\nb,c\n", 422, "row 2 has 2 columns; one, a text, is accepted"),
        (b"a\n\n  \n", 422, "row 3 is empty; a text needs"),
        (b'"a', 400, "the body is not valid CSV: unexpected end of data"),
        (b"\xff", 400, "the body is not UTF-8: byte 0 is 0xff"),
        (b"inputs\n", 422, "the body has no rows"),
        (b"a\n" * 129, 413, "`rows` holds 129 texts; a request may hold 128"),
    ],
)
def test_csv_is_refused(client: TestClient, content: bytes, status: int, message: str) -> None:
    """The row is named."""
    answer = client.post("/invocations", content=content, headers=CSV)
    assert (answer.status_code, answer.json()["error"][: len(message)]) == (status, message)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/html, application/*;q=0.9", "application/json"),
        ("application/jsonlines", "application/jsonlines"),
        ("application/x-jsonlines;q=0.5", "application/x-jsonlines"),
    ],
)
def test_accept(client: TestClient, accept: str, kind: str) -> None:
    """The first of what a caller accepts; a line has an input's answer."""
    body = {"inputs": ["stop it", "refund it"]}
    answer = client.post("/invocations", json=body, headers={"Accept": accept})
    assert answer.headers["content-type"] == kind
    whole = client.post("/predict", json=body).text
    lines = answer.text if kind == "application/json" else f"[{','.join(answer.text.splitlines())}]"
    assert rounded(lines) == rounded(whole)


def test_lines_as_json(client: TestClient) -> None:
    """A list of what the lines' answers are."""
    rows = lines_of({"inputs": "stop it"}, {"inputs": "refund it"})
    lines = client.post("/invocations", content=rows, headers=LINES).text.splitlines()
    answer = client.post("/invocations", content=rows, headers=LINES | {"Accept": "application/json"})
    assert rounded(answer.text) == [rounded(line) for line in lines]


def test_what_no_answer_can_be(client: TestClient) -> None:
    """A 406 that lists what answers are."""
    answer = client.post("/invocations", json={"inputs": "a"}, headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.json()["error"]) == (
        406,
        "Accept is 'text/csv'; answers are application/json or application/jsonlines",
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
    """Neither JSON, nor JSON lines, nor CSV: a 415 with all that is accepted."""
    response = client.post("/invocations", content="a,b", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415
    accepted = {"application/json", "application/jsonlines", "text/csv"}
    assert accepted <= set(response.json()["error"].replace(",", "").split())
