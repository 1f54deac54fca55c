"""Streamed answers through the real runtime loop: chunks as they are made, and an end that tells of a failure."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from starlette.routing import Route

from serving.entrypoints.asgi_client import Call
from serving.entrypoints.aws_lambda.function import Function
from serving.entrypoints.aws_lambda.streaming import ResponseStream, StreamedReply
from serving.errors import InputError
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.settings.lambda_settings import RESPONSE_STREAM, LambdaSettings
from serving.settings.settings import ServerSettings
from tests.paths import ROOT
from tests.serving.processes import environment, python
from tests.serving.runtime_api import Outcome, RuntimeApi
from tests.serving.test_lambda_handler import function_url

TOKENS = 40


@contextmanager
def runtime(api: RuntimeApi, bundle: Path, *command: str, **variables: object) -> Iterator[subprocess.Popen[bytes]]:
    """The image's runtime loop over a bundle, with streamed answers."""
    process = subprocess.Popen(
        python("-m", *(command or ("serving.entrypoints.aws_lambda",))), cwd=ROOT,
        env=environment(
            AWS_LAMBDA_RUNTIME_API=api.address, AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1769", TUNESHIP_BUNDLE=bundle,
            TUNESHIP_LAMBDA_INVOKE_MODE=RESPONSE_STREAM, **variables,
        ),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def api(task_bundle: Callable[[str], Path]) -> Iterator[RuntimeApi]:
    """A Runtime API whose runtime serves a generating model."""
    with RuntimeApi() as api, runtime(api, task_bundle("text2text-generation")):
        yield api


def ask(**fields: Any) -> dict[str, Any]:
    """An event that asks for a completion of random tokens."""
    body = {"prompt": "where is my parcel?", "max_tokens": TOKENS, "temperature": 1e9, "seed": 3, **fields}
    return function_url("POST", "/v1/completions", json.dumps(body))


HOURS = ask(prompt=["where is my parcel?"] * 16, n=16, max_tokens=4096, stream=True)


@pytest.mark.slow
def test_tokens_arrive_as_they_are_made(api: RuntimeApi) -> None:
    """Each event of the stream is a chunk; a prelude has status and headers."""
    outcome = api.invoke(ask(stream=True), timeout=120)
    assert outcome.payload["statusCode"] == 200
    assert outcome.payload["headers"]["content-type"].startswith("text/event-stream")
    assert "content-length" not in outcome.payload["headers"]
    events = [line for line in outcome.payload["body"].splitlines() if line.startswith("data: ")]
    assert events[-1] == "data: [DONE]"
    assert len(outcome.chunks) > 3
    assert len(outcome.chunks[0]) <= 16 * 1024  # API Gateway reads no further for the end of the prelude
    assert outcome.chunks[0].endswith(bytes(8))
    assert outcome.trailers == {}


@pytest.mark.slow
def test_generation_stops_when_the_caller_has_gone(api: RuntimeApi) -> None:
    """The first tokens arrive hours before the last one would; without a reader no more are made."""
    api.most_chunks = 2  # the prelude and the first event
    outcome = api.invoke(HOURS, timeout=120)
    api.most_chunks = 1_000_000
    assert (outcome.payload["statusCode"], len(outcome.chunks)) == (200, 2)
    assert api.invoke(function_url("GET", "/livez", None)).payload["statusCode"] == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("event", "status"),
    [
        (function_url("POST", "/predict", json.dumps({"inputs": "where is"})), 200),
        (function_url("POST", "/predict", "{"), 400),
        (function_url("GET", "/livez", None), 200),
        (function_url("GET", "/nothing", None), 404),
        (ask(stream=False), 200),
    ],
)
def test_every_answer_has_a_prelude(api: RuntimeApi, event: dict[str, Any], status: int) -> None:
    """A caller in RESPONSE_STREAM mode reads each answer so, also one that is made at once."""
    outcome = api.invoke(event)
    assert outcome.payload["statusCode"] == status
    assert outcome.payload["body"]
    assert outcome.chunks


@pytest.mark.slow
def test_direct_invocations(api: RuntimeApi) -> None:
    """They are answered whole."""
    assert not api.invoke({"inputs": "where is"}).failed
    assert api.invoke({"inputs": ""}).failed
    assert api.invoke({"warmup": True}).payload == {"status": "warm"}
    malformed = api.invoke({"version": "2.0", "requestContext": {}})
    assert malformed.payload["statusCode"] == 400


class Written(ResponseStream):
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.data, self.error = b"", "not finished"

    def write(self, data: bytes) -> None:
        """As a chunk."""
        self.data += data

    def finish(self, error: str = "") -> None:
        """With trailers or without."""
        self.error = error


def test_large_answers(tiny_bundle: Path) -> None:
    """A stream has no limit of 6 MB."""
    app = create_app(lambda: Predictor.open(tiny_bundle))
    app.router.routes.append(Route("/large", lambda _: Response(bytes(7 * 2**20))))
    written, loop = Written(), asyncio.new_event_loop()
    StreamedReply(Call("GET", "/large"), app, loop).send_to(written)
    loop.close()
    assert len(written.data) > 7 * 2**20
    assert written.error == ""


FAILING = """
import sys
from serving.inference.generation.engine import GenerationEngine
run_slice = GenerationEngine.run_slice
slices = []
def fail(self, windows):
    slices.append(1)
    if len(slices) == 6:
        raise RuntimeError("secret detail")
    import serving.inference.generation.engine as engine
    engine.SLICE = 0.0
    return run_slice(self, windows)
GenerationEngine.run_slice = fail
from serving.entrypoints.aws_lambda.__main__ import main
main([""])
"""


@pytest.mark.slow
def test_a_failure_in_the_middle(task_bundle: Callable[[str], Path]) -> None:
    """The stream ends with trailers that say so, without details; the next event is answered."""
    with RuntimeApi() as api:
        variables = environment(
            AWS_LAMBDA_RUNTIME_API=api.address, AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1769",
            TUNESHIP_BUNDLE=task_bundle("text2text-generation"), TUNESHIP_LAMBDA_INVOKE_MODE=RESPONSE_STREAM,
        )  # fmt: skip
        process = subprocess.Popen(python("-c", FAILING), cwd=ROOT, env=variables)
        try:
            outcome = api.invoke(ask(stream=True), timeout=120)
            following = api.invoke(function_url("GET", "/livez", None))
        finally:
            process.kill()
            process.wait()
    assert outcome.payload["statusCode"] == 200
    assert outcome.trailers["lambda-runtime-function-error-type"] == "Runtime.StreamError"
    told = json.loads(base64.b64decode(outcome.trailers["lambda-runtime-function-error-body"]))
    assert told["errorMessage"].startswith("the server failed on this request")
    assert following.payload["statusCode"] == 200


@pytest.mark.slow
def test_a_malformed_mode(tiny_bundle: Path) -> None:
    """It is an init error that names what is accepted."""
    with RuntimeApi() as api:
        process = subprocess.Popen(
            python("-m", "serving.entrypoints.aws_lambda"), cwd=ROOT,
            env=environment(
                AWS_LAMBDA_RUNTIME_API=api.address, TUNESHIP_BUNDLE=tiny_bundle, TUNESHIP_LAMBDA_INVOKE_MODE="stream"
            ),
        )  # fmt: skip
        outcome: Outcome = api.wait_init_error(120)
        assert process.wait(60) == 1
    assert "accepted are: BUFFERED, RESPONSE_STREAM" in outcome.payload["errorMessage"]


@pytest.mark.slow
def test_awslambdaric_alone(tiny_bundle: Path) -> None:
    """It cannot stream: that is said at the start, not at the first answer."""
    with (
        RuntimeApi() as api,
        runtime(api, tiny_bundle, "awslambdaric", "serving.lambda_handler.handler") as process,
    ):
        outcome = api.wait_init_error(120)
        assert process.wait(60) == 1
    assert "python -m serving.entrypoints.aws_lambda" in outcome.payload["errorMessage"]


def test_the_function_alone(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is the handler without its loop."""
    import sys

    monkeypatch.delitem(sys.modules, "serving.entrypoints.aws_lambda.streaming", raising=False)
    settings = ServerSettings(bundle=tiny_bundle, aws_lambda=LambdaSettings(invoke_mode=RESPONSE_STREAM))
    with pytest.raises(InputError, match="needs the image's own loop"):
        Function(settings)
