"""`/v1/completions` and `/predict` with generating bundles: whole and streamed, greedy and sampled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.inference.predictor import Predictor
from tests.serving.observability.test_metrics import samples, total
from tests.toys import GENERATING_TOYS


@pytest.fixture(scope="module", params=GENERATING_TOYS)
def bundle(request: pytest.FixtureRequest, task_bundle: Callable[[str], Path]) -> Path:
    """A proven bundle of each generating task."""
    return task_bundle(request.param)


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[TestClient]:
    """A client of the app over it."""
    with TestClient(create_app(lambda: Predictor.open(bundle))) as client:
        yield client


def complete(client: TestClient, **body: Any) -> dict[str, Any]:
    """The answer to a request that is not streamed."""
    response = client.post("/v1/completions", json={"prompt": "where is my parcel?", **body})
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    return content


def streamed(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    """The events of a streamed answer, without the final [DONE]."""
    request = {"prompt": "where is my parcel?", **body, "stream": True}
    with client.stream("POST", "/v1/completions", json=request) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def joined(events: list[dict[str, Any]], index: int = 0) -> str:
    """The text of one choice."""
    choices = [choice for event in events for choice in event["choices"] if choice["index"] == index]
    return "".join(choice["text"] for choice in choices)


def test_a_greedy_completion_is_the_predictors_answer(client: TestClient, bundle: Path) -> None:
    """Temperature 0 is greedy: the text is that of /predict; the tokens are counted."""
    answer = complete(client, temperature=0)
    (expected,) = Predictor.open(bundle).predict(["where is my parcel?"])
    assert [choice["text"] for choice in answer["choices"]] == [each["generated_text"] for each in expected]
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 2


def test_a_stream_joins_to_the_whole(client: TestClient) -> None:
    """The tokens join to the whole text; only the last event has the reason to finish."""
    events = streamed(client, temperature=0)
    assert joined(events) == complete(client, temperature=0)["choices"][0]["text"]
    reasons = [event["choices"][0]["finish_reason"] for event in events]
    assert reasons[:-1] == [None] * (len(events) - 1)
    assert reasons[-1] in ("stop", "length")


def test_a_seed_makes_samples_repeatable(client: TestClient) -> None:
    """The same seed samples the same texts, whole or streamed; other seeds sample others."""
    options = {"temperature": 1.5, "max_tokens": 8, "n": 2}
    first = [choice["text"] for choice in complete(client, seed=1, **options)["choices"]]
    assert [choice["text"] for choice in complete(client, seed=1, **options)["choices"]] == first
    events = streamed(client, seed=1, **options)
    assert [joined(events, 0), joined(events, 1)] == first
    texts = [[choice["text"] for choice in complete(client, seed=seed, **options)["choices"]] for seed in range(2, 8)]
    assert any(text != first for text in texts)


def test_several_prompts_and_an_echo(client: TestClient) -> None:
    """Choices are in the order of the prompts, and begin with the prompt if ``echo`` is set."""
    prompts = ["where is", "I want"]
    answer = complete(client, prompt=prompts, temperature=0, max_tokens=3, echo=True)
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    assert all(choice["text"].startswith(prompt) for choice, prompt in zip(answer["choices"], prompts, strict=True))
    events = streamed(client, prompt=prompts, temperature=0, max_tokens=3, echo=True)
    assert [joined(events, at) for at in (0, 1)] == [choice["text"] for choice in answer["choices"]]


def test_a_stream_is_counted(client: TestClient) -> None:
    """Metrics count the inputs of streams, drift included."""
    names = ("tuneship_inputs_total", "tuneship_drift_inputs")
    before = samples(client)
    streamed(client, max_tokens=2)
    assert [total(samples(client), name) - total(before, name) for name in names] == [1, 1]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"prompt": ""}, 422, "prompt is empty"),
        ({"logit_bias": {"5": 1}}, 422, "logit_bias: Dictionary should have at most 0 items"),
        ({"max_tokens": 0}, 422, "max_tokens: Input should be greater than or equal to 1"),
        ({"presence_penalty": 0.5}, 422, "presence_penalty"),
        ({"prompt": ["a"] * 129}, 413, "a request may hold 128"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refused(client: TestClient, body: dict[str, Any], status: int, expected: str, stream: bool) -> None:
    """An error has a status and a reason, and never comes within a stream."""
    response = client.post("/v1/completions", json={"prompt": "a", **body, "stream": stream})
    assert response.status_code == status
    assert expected in response.json()["error"]["message"]


def test_hugging_faces_shape_takes_beams(client: TestClient) -> None:
    """/predict gives as many generated texts as requested; contradictory parameters are refused."""
    body = {"inputs": "where is", "parameters": {"num_beams": 3, "num_return_sequences": 2, "max_new_tokens": 4}}
    assert [type(each["generated_text"]) for each in client.post("/predict", json=body).json()] == [str, str]
    body["parameters"] = {"num_beams": 2, "do_sample": True}
    assert client.post("/predict", json=body).status_code == 422


def test_a_stop_text_ends_the_answer(client: TestClient) -> None:
    """The answer ends before it, streamed too."""
    draws = ({"temperature": 1.5, "max_tokens": 8, "seed": seed} for seed in range(30))
    texts = ((options, complete(client, **options)["choices"][0]["text"]) for options in draws)
    options, whole = next((options, text) for options, text in texts if len(text) > 3)
    stop = whole[1:3]
    answer = complete(client, **options, stop=stop)["choices"][0]
    assert answer == {"index": 0, "text": whole[: whole.index(stop)], "logprobs": None, "finish_reason": "stop"}
    assert joined(streamed(client, **options, stop=[stop])) == answer["text"]


def test_a_classifier_does_not_complete(tiny_bundle: Path) -> None:
    """The error names the bundle's task."""
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle))) as client:
        response = client.post("/v1/completions", json={"prompt": "a"})
    assert response.status_code == 422
    assert "this bundle's task is text-classification" in response.json()["error"]["message"]
