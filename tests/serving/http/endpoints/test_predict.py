"""Every task over HTTP: the predictor's answers in the shape of the task, and refusals that name the field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.inference.predictor import Predictor
from tests.serving.examples import EXAMPLES, FAMILY, LONE_IN_LIST
from tests.serving.http.test_app import samples

TOYS = sorted(EXAMPLES)
LONG = "where is my parcel " * 50
Clients = Callable[[str], TestClient]
Predictors = Callable[[str], Predictor]


def ask(client: TestClient, inputs: Any, **parameters: Any) -> Any:
    """The answer to a request that is accepted."""
    response = client.post("/predict", json={"inputs": inputs, "parameters": parameters})
    assert response.status_code == 200, response.text
    return response.json()


def refused(client: TestClient, inputs: Any, **parameters: Any) -> tuple[int, str]:
    """Status and message of a request that is not."""
    response = client.post("/predict", json={"inputs": inputs, "parameters": parameters})
    return response.status_code, response.json()["error"]


def test_every_toy_has_examples() -> None:
    """Every task has an example here."""
    from tests.toys import TOYS

    assert set(EXAMPLES) == set(TOYS)


@pytest.mark.parametrize("toy", TOYS)
def test_a_lone_input(task_client: Clients, task_predictor: Predictors, toy: str) -> None:
    """A lone input gets the predictor's answer to the last digit, in a list where the task's clients expect one."""
    for inputs in EXAMPLES[toy]:
        (expected,) = task_predictor(toy).predict([inputs])
        assert ask(task_client(toy), inputs) == ([expected] if LONE_IN_LIST[toy] else expected)


@pytest.mark.parametrize("toy", TOYS)
def test_a_list(task_client: Clients, task_predictor: Predictors, toy: str) -> None:
    """Several inputs get a list of answers in order; so does a list of one."""
    predictor = task_predictor(toy)
    answers = ask(task_client(toy), EXAMPLES[toy])
    expected = [predictor.predict([each])[0] for each in EXAMPLES[toy]]
    assert len(answers) == len(expected)
    assert [predictor.task.decision(each) for each in answers] == [predictor.task.decision(each) for each in expected]
    assert ask(task_client(toy), EXAMPLES[toy][:1]) == expected[:1]


@pytest.mark.parametrize("toy", TOYS)
def test_escaped_or_not(task_client: Clients, toy: str) -> None:
    """JSON escapes make no difference."""
    bodies = [json.dumps({"inputs": EXAMPLES[toy]}, ensure_ascii=ascii).encode() for ascii in (True, False)]
    headers = {"content-type": "application/json"}
    one, other = (task_client(toy).post("/", content=body, headers=headers) for body in bodies)
    assert one.status_code == 200
    assert one.json() == other.json()


@pytest.mark.parametrize("toy", TOYS)
def test_info(task_client: Clients, task_predictor: Predictors, toy: str) -> None:
    """/info has task, labels, settings and the proof's verdict."""
    info, manifest = task_client(toy).get("/info").json(), task_predictor(toy).manifest
    assert (info["task"], info["labels"], info["settings"]) == (manifest.task, manifest.labels, manifest.settings)
    assert info["parity"]["passed"] is True
    decides = task_predictor(toy).task.decides
    assert info["parity"]["rows"] > 0
    assert info["parity"]["answers_equal"] == (info["parity"]["rows"] if decides else None)
    assert info["parity"]["score"] == pytest.approx(info["parity"]["reference_score"])
    assert info["parity"]["metric"]


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_offsets_in_the_text_as_sent(task_client: Clients, strategy: str) -> None:
    """Entities' offsets count code points of the text as sent, under every strategy."""
    for text in EXAMPLES["token-classification"]:
        answer = ask(task_client("token-classification"), text, aggregation_strategy=strategy)
        assert all(text[each["start"] : each["end"]] == each["word"] for each in answer)
        assert all(("entity" in each) == (strategy == "none") for each in answer)


def test_entities_are_found(task_client: Clients) -> None:
    """Entities are found after an emoji of seven code points and beyond the first window."""
    client = task_client("token-classification")
    known, emoji, _, long = EXAMPLES["token-classification"]
    assert [(each["word"], each["entity_group"]) for each in ask(client, known)] == [("Ada", "PER"), ("Oslo", "LOC")]
    assert emoji.startswith(FAMILY)
    assert all(emoji[each["start"] : each["end"]] == each["word"] for each in ask(client, emoji))
    places = [each["start"] for each in ask(client, long) if each["entity_group"] == "LOC"]
    assert long.index("Kyoto") in places


def test_answers_are_found(task_client: Clients) -> None:
    """An answer's offsets are right after emoji and beyond the first window."""
    for inputs in EXAMPLES["question-answering"]:
        answer = ask(task_client("question-answering"), inputs)
        assert inputs["context"][answer["start"] : answer["end"]] == answer["answer"] != ""
        several = ask(task_client("question-answering"), inputs, top_k=3)
        assert several[0] == answer
        assert [each["score"] for each in several] == sorted((each["score"] for each in several), reverse=True)


@pytest.mark.parametrize(
    ("toy", "inputs", "status", "message"),
    [
        ("text pairs", {"text": "a"}, 422, 'inputs.text_pair is missing; give {"text": "…", "text_pair": "…"}'),
        ("text pairs", [{"text": "a", "text_pair": "b"}, {"text_pair": "b"}], 422, "inputs[1].text is missing"),
        ("text pairs", "a", 422, 'inputs must be an object {"text": "…", "text_pair": "…"}, found a text'),
        ("text-classification", {"text": "a", "text_pair": "b"}, 422, "inputs is a pair, and this model reads"),
        ("question-answering", {"question": "a"}, 422, "inputs.context is missing"),
        ("question-answering", {"context": "a"}, 422, "inputs.question is missing"),
        ("question-answering", [{"question": "a", "context": ""}], 422, "inputs[0].context is empty"),
        ("question-answering", {"question": "a " * 99, "context": "b"}, 413, "inputs.question has more than"),
        ("question-answering", {"question": "a", "context": "b" * 100_001}, 413, "inputs.context has 100,001"),
        ("token-classification", ["Ada", {"text": 3}], 422, "inputs[1] must be a text, found an object"),
        ("feature-extraction", [["a"]], 422, "inputs[0] must be a text, found a list"),
    ],
)
def test_refused(task_client: Clients, toy: str, inputs: Any, status: int, message: str) -> None:
    """An invalid input is an error that names the field."""
    found, error = refused(task_client(toy), inputs)
    assert (found, error[: len(message)]) == (status, message)


@pytest.mark.parametrize(
    ("toy", "parameters", "message"),
    [
        ("regression", {"top_k": 1}, "parameters.top_k: Extra inputs are not permitted; accepted parameters: truncate"),
        ("multi-label-classification", {"threshold": 2}, "parameters.threshold: "),
        ("token-classification", {"aggregation_strategy": "best"}, "parameters.aggregation_strategy: "),
        ("question-answering", {"doc_stride": 9}, "parameters.doc_stride: Extra inputs are not permitted; accepted"),
        ("feature-extraction", {"dimensions": 0}, "parameters.dimensions: "),
        ("feature-extraction", {"dimensions": 33}, "dimensions: 33 asked; vectors have 32"),
    ],
)
def test_parameters_refused(task_client: Clients, toy: str, parameters: Any, message: str) -> None:
    """An unknown parameter is an error that lists the task's parameters."""
    status, error = refused(task_client(toy), EXAMPLES[toy][0], **parameters)
    assert (status, error[: len(message)]) == (422, message)


@pytest.mark.parametrize("toy", ["text-classification", "text pairs", "regression", "feature-extraction"])
def test_truncation_is_the_callers_choice(task_client: Clients, toy: str) -> None:
    """A long text is truncated, which X-Truncated says, or refused where the caller says so."""
    client, short = task_client(toy), EXAMPLES[toy][0]
    long = {**short, "text": LONG} if isinstance(short, dict) else LONG
    response = client.post("/predict", json={"inputs": [short, long], "parameters": {"truncate": True}})
    assert (response.status_code, response.headers["x-truncated"]) == (200, "1")
    response = client.post("/predict", json={"inputs": [short, long], "parameters": {"truncate": False}})
    assert response.status_code == 422
    assert re.match(r"inputs\[1\] has (more than )?\d+ tokens and \d+ of them are read", response.json()["error"])
    response = client.post("/predict", json={"inputs": short, "parameters": {"truncate": False}})
    assert response.status_code == 200
    assert "x-truncated" not in response.headers


@pytest.mark.parametrize("toy", ["token-classification", "question-answering"])
def test_windows_are_not_truncated(task_client: Clients, toy: str) -> None:
    """A task with windows reads long texts in full."""
    client, short = task_client(toy), EXAMPLES[toy][0]
    long = {**short, "context": LONG} if isinstance(short, dict) else LONG
    response = client.post("/predict", json={"inputs": long, "parameters": {"truncate": False}})
    assert response.status_code == 200
    assert "x-truncated" not in response.headers


def outcomes(client: TestClient) -> dict[str, float]:
    """How often each label was answered."""
    found = samples(client).items()
    return {re.findall('label="([^"]*)"', name)[0]: count for name, count in found if "outcomes_total" in name}


@pytest.mark.parametrize("toy", TOYS)
def test_metrics(task_client: Clients, toy: str) -> None:
    """Inputs and answered labels are counted, with the task's labels only."""
    client = task_client(toy)
    before, was = samples(client)['tuneship_inputs_total{model="run"}'], outcomes(client)
    answers = ask(client, EXAMPLES[toy])
    assert samples(client)['tuneship_inputs_total{model="run"}'] == before + len(EXAMPLES[toy])
    grown = sum(outcomes(client).values()) - sum(was.values())
    if toy in ("regression", "question-answering", "answers or none", "feature-extraction"):
        assert outcomes(client) == {}
    elif toy in ("token-classification", "multi-label-classification"):
        assert grown == sum(map(len, answers))
    else:
        assert grown == len(answers)
    known = {*client.get("/info").json()["labels"], "PER", "LOC"}
    assert set(outcomes(client)) <= known
