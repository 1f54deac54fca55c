"""The real `awslambdaric` process with a local Runtime API."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.inference.predictor import Predictor
from tests.paths import ROOT
from tests.serving.processes import environment, python
from tests.serving.runtime_api import RuntimeApi
from tests.serving.test_lambda_handler import encoded, event_of

TEXTS = ["where is my parcel?", "refund order 17", "我的卡 👍🏽"]


@contextmanager
def runtime(api: RuntimeApi, bundle: Path, **variables: object) -> Iterator[subprocess.Popen[bytes]]:
    """The runtime loop with our handler, as the image starts it."""
    process = subprocess.Popen(
        python("-m", "awslambdaric", "serving.lambda_handler.handler"),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment(
            AWS_LAMBDA_RUNTIME_API=api.address, AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1769", TUNESHIP_BUNDLE=bundle,
            AWS_LAMBDA_FUNCTION_NAME="tuneship", AWS_REGION="eu-west-1", LAMBDA_TASK_ROOT=ROOT, **variables,
        ),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def api(tiny_bundle: Path) -> Iterator[RuntimeApi]:
    """A Runtime API that the real runtime process polls."""
    with RuntimeApi() as api, runtime(api, tiny_bundle):
        yield api


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["function_url", "http_api", "rest_api"])
def test_http_events(api: RuntimeApi, client: TestClient, kind: str) -> None:
    """An HTTP event gets exactly the body of HTTP."""
    for text in TEXTS:
        outcome = api.invoke(event_of(kind, "POST", "/predict", json.dumps({"inputs": text})))
        assert not outcome.failed
        assert outcome.payload["statusCode"] == 200
        assert outcome.payload["body"] == client.post("/predict", json={"inputs": text}).text


@pytest.mark.slow
def test_base64(api: RuntimeApi, client: TestClient) -> None:
    """A base64 body arrives unchanged."""
    event = event_of("function_url", "POST", "/predict")
    outcome = api.invoke(encoded(event, json.dumps({"inputs": TEXTS[2]}, ensure_ascii=False)))
    assert outcome.payload["body"] == client.post("/predict", json={"inputs": TEXTS[2]}).text


def test_plain(api: RuntimeApi, client: TestClient) -> None:
    """A direct invocation returns the bare answer."""
    outcome = api.invoke({"inputs": TEXTS, "parameters": {"top_k": 1}})
    expected = client.post("/predict", json={"inputs": TEXTS, "parameters": {"top_k": 1}})
    assert not outcome.failed
    assert outcome.payload == expected.json()


def test_refused(api: RuntimeApi, client: TestClient) -> None:
    """A refused HTTP event is a response with its status; a refused direct invocation is an error with the reason."""
    over_http = client.post("/predict", json={"inputs": ""})
    outcome = api.invoke(event_of("http_api", "POST", "/predict", '{"inputs": ""}'))
    assert not outcome.failed
    assert (outcome.payload["statusCode"], outcome.payload["body"]) == (422, over_http.text)
    plain = api.invoke({"inputs": ""})
    assert plain.failed
    assert plain.payload["errorType"] == "InvocationError"
    assert plain.payload["errorMessage"] == f"422: {over_http.json()['error']}"


@pytest.mark.parametrize("event", [None, 7, "text", [], {}, {"Records": [{"eventSource": "aws:sqs"}]}])
def test_survives(api: RuntimeApi, event: Any) -> None:
    """An unknown kind of event is an error; the next event is answered."""
    assert api.invoke(event).failed
    assert not api.invoke({"inputs": "stop"}).failed


def test_get_info(api: RuntimeApi, client: TestClient) -> None:
    """GET /info answers through the runtime."""
    outcome = api.invoke(event_of("function_url", "GET", "/info"))
    assert json.loads(outcome.payload["body"]) == client.get("/info").json()


@pytest.mark.slow
@pytest.mark.parametrize(("initialization", "restores"), [("on-demand", 0), ("snap-start", 1)])
def test_snap_start(tiny_bundle: Path, predictor: Predictor, initialization: str, restores: int) -> None:
    """With SnapStart the bundle is loaded before the snapshot, and the restored process answers."""
    with RuntimeApi() as api, runtime(api, tiny_bundle, AWS_LAMBDA_INITIALIZATION_TYPE=initialization):
        assert api.invoke({"inputs": "stop"}).payload == predictor.predict(["stop"])
        assert api.restores == restores


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["altered", "absent"])
def test_bad_bundle(tiny_bundle: Path, tmp_path: Path, damage: str) -> None:
    """The bundle is loaded in the init phase: an invalid one is an init error, and the exit status is 1."""
    bundle = tmp_path / "bundle"
    if damage == "altered":
        shutil.copytree(tiny_bundle, bundle)
        (bundle / "tokenizer.json").write_bytes(b"{}")
    with RuntimeApi() as api, runtime(api, bundle) as process:
        outcome = api.wait_init_error()
        assert process.wait(60) == 1
    message = "tokenizer.json was altered" if damage == "altered" else "there is no folder"
    assert message in outcome.payload["errorMessage"]
    assert outcome.payload["errorType"] == "BundleError"
    assert outcome.error_type == "BundleError"
