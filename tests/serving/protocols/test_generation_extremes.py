"""Whatever a caller writes for a generation parameter, in any protocol: an answer, or an error that names the field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.lambda_handler import parse_event
from serving.protocols.open_inference.infer import input_names
from serving.protocols.openai_generation import completions
from serving.tasks.generation import GenerationParameters

NUMBERS = [0, -1, 1, 2, 3, 16, 17, 65_536, 65_537, 2**31, 2**63, 2**64, 10**30, 0.5, 5e-324, -1e-30, 1e-30]
NUMBERS += [1000.0, -1000.0, 1e30, 1e308, -1e308, math.inf, -math.inf, math.nan]
STOPS = ["a", ["a"], [""], ["a"] * 16, ["a"] * 17, "a" * 1000, "a" * 1001, ["b" * 1000] * 16, ["a" * 1_000_000]]
VALUES = st.sampled_from([*NUMBERS, *STOPS, True, False, None, "never", "1", {}, []])

PATHS = {"hugging_face": "/predict", "lambda": "/predict", "openai": completions.PATH, "sagemaker": "/invocations"}


@pytest.fixture(scope="module")
def client(task_bundle: Callable[[str], Path]) -> Iterator[TestClient]:
    """A model with 128 positions: the longest answers are short."""
    with TestClient(create_app(lambda: Predictor.open(task_bundle("text-generation")))) as client:
        yield client


def write(content: Any) -> bytes:
    """As JSON, an infinite number as a literal that JSON has."""
    return json.dumps(content).replace("Infinity", "1e999").encode()


def parameters_of(model: Any, *without: str) -> st.SearchStrategy[dict[str, Any]]:
    """One parameter or two, with any values."""
    names = [name for name in model.model_fields if name not in without]
    return st.dictionaries(st.sampled_from(names), VALUES, min_size=1, max_size=2)


HUGGING_FACE = parameters_of(GenerationParameters)


def send(client: TestClient, protocol: str, parameters: dict[str, Any]) -> tuple[int, str, bytes]:
    """Path, body and the answer."""
    body: dict[str, Any] = {"inputs": "where is my parcel?", "parameters": parameters}
    if protocol == "openai":
        body = {"prompt": "where is my parcel?", **parameters}
    if protocol == "open_inference":
        (name,) = input_names(client.app.server_state.models.default.model.predictor.task)  # type: ignore[attr-defined]
        tensor = {"name": name, "shape": [1], "datatype": "BYTES", "data": ["where is my parcel?"]}
        body = {"inputs": [tensor], "parameters": parameters}
    path = f"/v2/models/{client.get('/info').json()['served_as']}/infer"
    content, path = write(body), PATHS.get(protocol, path)
    if protocol == "lambda":
        content = parse_event(json.loads(content)).body
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    return answer.status_code, path, answer.content


def require_good(client: TestClient, protocol: str, parameters: dict[str, Any]) -> None:
    status, _, content = send(client, protocol, parameters)
    assert status in (200, 413, 422), (status, content[:1000])
    answer = json.loads(content, parse_constant=pytest.fail)  # NaN is no JSON
    if status != 200:
        error = answer["error"]
        message = error["message"] if protocol == "openai" else error
        assert any(name in message for name in parameters), message
        assert len(message) < 2000


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["hugging_face", "lambda", "sagemaker", "open_inference"])
@settings(max_examples=60)
@given(parameters=HUGGING_FACE)
def test_any_value(client: TestClient, protocol: str, parameters: dict[str, Any]) -> None:
    """Hugging Face's names."""
    require_good(client, protocol, parameters)


@pytest.mark.slow
@settings(max_examples=120)
@given(parameters=parameters_of(completions._Body, "prompt", "stream"))
def test_any_value_of_openai(client: TestClient, parameters: dict[str, Any]) -> None:
    """OpenAI's names: an error has them, not ours."""
    require_good(client, "openai", parameters)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"length_penalty": 1000.0, "num_beams": 2}, "length_penalty"),
        ({"length_penalty": -1000.0, "num_beams": 2}, "length_penalty"),
        ({"temperature": math.inf, "do_sample": True}, "temperature"),
        ({"repetition_penalty": 5e-324}, "repetition_penalty"),
        ({"repetition_penalty": 1e308}, "repetition_penalty"),
        ({"max_new_tokens": 65_536, "do_sample": True, "num_return_sequences": 2}, "max_new_tokens"),
        ({"max_new_tokens": 65_536, "num_beams": 2}, "max_new_tokens"),
        ({"min_new_tokens": 65_537}, "min_new_tokens"),
        ({"stop": ["a" * 1001]}, "stop"),
        ({"stop_sequences": [""]}, "parameters.stop"),
    ],
    ids=str,
)
def test_refused(client: TestClient, parameters: dict[str, Any], field: str) -> None:
    """What would overflow, or cost too much."""
    status, _, content = send(client, "hugging_face", parameters)
    assert status == 422
    assert field in json.loads(content)["error"]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"max_tokens": 65_537}, "max_tokens"),
        ({"max_tokens": 65_536, "n": 2}, "max_tokens"),
        ({"stop": "a" * 1001}, "stop"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": ""}, "stop"),
        ({"temperature": math.inf}, "temperature"),
    ],
    ids=str,
)
def test_refused_under_openais_names(client: TestClient, parameters: dict[str, Any], field: str) -> None:
    """The same bounds."""
    status, _, content = send(client, "openai", parameters)
    assert status == 422
    message = json.loads(content)["error"]["message"]
    assert field in message
    assert "new_tokens" not in message
