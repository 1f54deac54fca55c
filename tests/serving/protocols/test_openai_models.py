"""OpenAI's own client with a server process: vectors, completions, models, errors."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import openai
import pytest

from deploy.measurement.process import free_port
from serving.inference.predictor import Predictor
from tests.serving.processes import ServerProcess, python, running

TEXTS = ["where is my parcel?", "refund order 17"]
PROMPT = "where is my parcel?"


def client_of(url: str) -> openai.OpenAI:
    """The client, with the server's address."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none asked", max_retries=0)


@pytest.fixture(scope="module")
def generator(task_bundle: Callable[[str], Path]) -> Path:
    """A proven bundle of a tiny GPT-2."""
    return task_bundle("text-generation")


@pytest.fixture(scope="module")
def server(
    generator: Path, task_bundle: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server of a generating model and one of sentence vectors."""
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log.txt"
    models = (f"writer={generator}", f"vectors={task_bundle('feature-extraction')}")
    with running(python("-m", "tuneship", "serve", *models, "--port", port), port, log) as process:
        yield process


def test_models(server: ServerProcess) -> None:
    """The client lists the models, and gets one by its name."""
    client = client_of(server.url)
    assert [model.id for model in client.models.list()] == ["writer", "vectors"]
    assert client.models.retrieve("vectors").owned_by == "tuneship"
    with pytest.raises(openai.NotFoundError, match="no model is named 'other'; served are: writer, vectors"):
        client.models.retrieve("other")


@pytest.mark.parametrize("encoding_format", ["float", "base64", None])
def test_embeddings(server: ServerProcess, task_predictor: Callable[[str], Predictor], encoding_format: str) -> None:
    """Vectors are the predictor's, as numbers and in the client's default, base64."""
    options = {"encoding_format": encoding_format} if encoding_format else {}
    found = client_of(server.url).embeddings.create(model="vectors", input=TEXTS, **options)
    predictor = task_predictor("feature-extraction")
    for text, each in zip(TEXTS, found.data, strict=True):
        vector = (
            np.frombuffer(base64.b64decode(each.embedding), "<f4") if encoding_format == "base64" else each.embedding
        )
        assert vector == pytest.approx(predictor.predict([text])[0], abs=1e-5)
    assert found.model == "vectors"
    assert found.usage.prompt_tokens > 0


def test_completions(server: ServerProcess, generator: Path) -> None:
    """A completion is the predictor's, whole and streamed."""
    client = client_of(server.url)
    whole = client.completions.create(model="writer", prompt=PROMPT, temperature=0, max_tokens=8)
    predictor = Predictor.open(generator)
    parameters = predictor.task.parameters_type(max_new_tokens=8)
    assert whole.choices[0].text == predictor.predict([PROMPT], parameters)[0][0]["generated_text"]
    pieces = client.completions.create(model="writer", prompt=PROMPT, temperature=0, max_tokens=8, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text


def test_refused(server: ServerProcess) -> None:
    """The client raises its own exceptions for a model of another task, an unknown model and an empty text."""
    client = client_of(server.url)
    with pytest.raises(openai.UnprocessableEntityError, match="gives sentence vectors, and this bundle's task is"):
        client.embeddings.create(model="writer", input="a")
    with pytest.raises(openai.NotFoundError, match="no model is named 'other'"):
        client.embeddings.create(model="other", input="a")
    with pytest.raises(openai.UnprocessableEntityError, match="input is empty"):
        client.embeddings.create(model="vectors", input="")
