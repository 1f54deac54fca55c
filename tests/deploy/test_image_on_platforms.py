"""The image as SageMaker and Vertex AI start it: their command, variables and folder, without a network."""

from __future__ import annotations

import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stores.push import push
from stores.targets import parse_target
from tests.bundles import forge, manifest_of
from tests.containers import build_image, docker, why_no_engine

pytestmark = [pytest.mark.docker, pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine() or "engine")]

ASK = """
import sys, urllib.error, urllib.request
url, body, kind = sys.argv[1:]
request = urllib.request.Request(url, body.encode() or None, {"Content-Type": kind})
try:
    with urllib.request.urlopen(request, timeout=60) as response:
        print(response.status, response.read().decode(), sep="\\n", end="")
except urllib.error.URLError as error:
    print(getattr(error, "code", 0))
"""


@pytest.fixture(scope="module")
def image(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image with the tiny bundle."""
    return build_image(tiny_bundle, tmp_path_factory.mktemp("image"))


@contextmanager
def container(image: str, *options: str) -> Iterator[str]:
    """One that was started with ``serve``, with a read-only root; its id."""
    started = docker("run", "--detach", "--read-only", "--network", "none", *options, image, "serve")
    try:
        yield started
    finally:
        subprocess.run(["docker", "rm", "--force", started], capture_output=True, timeout=60, check=False)


def ask(name: str, path: str, content: Any = None, kind: str = "application/json") -> tuple[int, str]:
    """Status and body of what port 8080 answers inside the container."""
    body = content if isinstance(content, str) else json.dumps(content) if content else ""
    told = docker("exec", name, "python", "-c", ASK, f"http://127.0.0.1:8080{path}", body, kind)
    status, _, answer = told.partition("\n")
    return int(status), answer


def wait(name: str, path: str, seconds: float = 60) -> str:
    """The health check's answer, once it is 200."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status, answer = ask(name, path)
        if status == 200:
            return answer
        time.sleep(0.2)
    raise AssertionError(docker("logs", name))


def test_sagemaker(image: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """`docker run IMAGE serve` serves what lies in /opt/ml/model, on port 8080, and tells Docker its health."""
    bundle, archive = forge(tiny_bundle, tmp_path / "other", data_warnings=["other"]), tmp_path / "model.tar.gz"
    push(bundle, parse_target(f"file://{archive}"))
    with tarfile.open(archive) as members:
        members.extractall(tmp_path / "model", filter="data")
    with container(image, "--volume", f"{tmp_path / 'model'}:/opt/ml/model:ro") as name:
        assert wait(name, "/ping") == ""
        assert json.loads(ask(name, "/info")[1])["bundle_sha256"] == manifest_of(bundle).digest
        status, answer = ask(name, "/invocations", '{"inputs": "stop it"}\n{"inputs": "a"}\n', "application/jsonlines")
        assert (status, len(answer.splitlines())) == (200, 2)
        check = json.loads(docker("image", "inspect", image, "--format", "{{json .Config.Healthcheck.Test}}"))[1:]
        docker("exec", name, *check)


def test_batch_transform(image: str) -> None:
    """Without a model of its own a job gets the image's bundle; a bad record costs no other its answer."""
    with container(image, "--env", "SAGEMAKER_BATCH=true") as name:
        wait(name, "/ping")
        assert json.loads(ask(name, "/execution-parameters")[1])["BatchStrategy"] == "SINGLE_RECORD"
        assert '"error"' in ask(name, "/invocations", '{"inputs": ""}\n', "application/jsonlines")[1]


def test_vertex(image: str) -> None:
    """At the port and the routes that it names."""
    variables = {"AIP_HTTP_PORT": 8080, "AIP_HEALTH_ROUTE": "/v1/endpoints/1", "AIP_PREDICT_ROUTE": "/v1/x:predict"}
    options = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    with container(image, *options) as name:
        wait(name, "/v1/endpoints/1")
        answer = ask(name, "/v1/x:predict", {"instances": ["stop it", "refund it"]})[1]
    assert len(json.loads(answer)["predictions"]) == 2


def test_vertexs_artifacts(image: str) -> None:
    """Need a client that the image lacks: the start ends and says which."""
    started = ["docker", "run", "--rm", "--network", "none", "--env", "AIP_STORAGE_URI=gs://team/intents", image]
    refused = subprocess.run([*started, "serve"], capture_output=True, text=True, timeout=120, check=False)
    assert (refused.returncode, "needs the extra gcs" in refused.stderr) == (1, True), refused.stderr
