"""Paths that a hosting platform chooses for its health check and its predictions."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from deploy.measurement.process import free_port
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.settings.access import AccessPolicy
from serving.settings.platforms import Platform
from tests.serving.processes import get, python, run_python, running

HEALTH, PREDICT = "/v1/endpoints/12/deployedModels/34", "/v1/endpoints/12/deployedModels/34:predict"
INSTANCES = {"instances": ["where is my parcel?", {"text": "refund order 17"}], "parameters": {"top_k": 1}}
KEY = "first-key-0123456789"


@pytest.fixture
def chosen(predictor: Predictor) -> Iterator[TestClient]:
    """A client of an app at Vertex AI's default routes, which wants a key."""
    routes = Platform(HEALTH, PREDICT)
    app = create_app(lambda: predictor, access_policy=AccessPolicy(api_keys=(KEY,)), platform=routes)
    with TestClient(app) as client:
        yield client


def client_at(predictor: Predictor, routes: Platform) -> TestClient:
    return TestClient(create_app(lambda: predictor, platform=routes))


def test_health(chosen: TestClient) -> None:
    """Needs no key, and is ready as /readyz is."""
    assert (chosen.get(HEALTH).status_code, chosen.head(HEALTH).status_code) == (200, 200)
    chosen.app.server_state.draining = True  # type: ignore[attr-defined]
    assert chosen.get(HEALTH).status_code == 503
    chosen.app.server_state.draining = False  # type: ignore[attr-defined]


def test_predictions(chosen: TestClient) -> None:
    """Are those of /predict, and need its key."""
    headers = {"X-API-Key": KEY}
    answer = chosen.post(PREDICT, json=INSTANCES, headers=headers)
    assert answer.json() == chosen.post("/predict", json=INSTANCES, headers=headers).json()
    assert len(answer.json()["predictions"]) == 2
    assert chosen.post(PREDICT, json=INSTANCES).status_code == 401
    assert f'route="{PREDICT}"' not in chosen.get("/metrics", headers=headers).text


def test_methods(chosen: TestClient) -> None:
    """Of each route only its own."""
    headers = {"X-API-Key": KEY}
    assert chosen.post(HEALTH, json=INSTANCES, headers=headers).status_code == 404
    assert chosen.get(PREDICT, headers=headers).status_code == 404


def test_one_path_for_both(predictor: Predictor) -> None:
    """A path that a page or an endpoint has too: health is told, and predictions are answered."""
    for path in ("/", "/predict", "/both"):
        with client_at(predictor, Platform(path, path)) as client:
            assert client.get(path).text == "ready\n"
            assert client.post(path, json=INSTANCES).json()["predictions"]


@pytest.mark.parametrize("path", ["/invocations", "/classify", "/v1/models/{name}:predict", "/v2/models/{name}/infer"])
def test_an_endpoint_as_the_route(predictor: Predictor, path: str) -> None:
    """Stays what it is: its answers are those without the route."""
    path = path.format(name=predictor.manifest.name)
    body = {"instances": ["stop it"]} if "predict" in path else {"inputs": ["stop it"]}
    with client_at(predictor, Platform()) as client:
        wanted = client.post(path, json=body)
    with client_at(predictor, Platform("/health", path)) as client:
        answer = client.post(path, json=body)
        assert client.get("/health").content == b""
    assert (answer.status_code, answer.content) == (wanted.status_code, wanted.content)


@pytest.mark.slow
@pytest.mark.parametrize("server", ["tuneship", "bentoml"])
def test_vertex(server: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """A server process with Vertex AI's variables alone answers at its port and routes."""
    port = free_port()
    commands = {
        "tuneship": python("-m", "tuneship", "serve"),
        "bentoml": python("-m", "bentoml", "serve", "serving.service:Tuneship", "--port", port),
    }
    routes = {"AIP_HEALTH_ROUTE": HEALTH, "AIP_PREDICT_ROUTE": PREDICT, "AIP_MODE": "PREDICTION"}
    variables = {**routes, "AIP_HTTP_PORT": port, "AIP_STORAGE_URI": "", "TUNESHIP_BUNDLE": tiny_bundle}
    with running(commands[server], port, tmp_path / "log", **variables) as process:
        assert get(process.url + HEALTH) == (200, "ready\n")
        assert len(ask(process.url + PREDICT, INSTANCES)["predictions"]) == 2


@pytest.mark.slow
def test_sagemaker(tiny_bundle: Path, tmp_path: Path) -> None:
    """A server without arguments serves what SageMaker has unpacked, at port 8080, here a free one; a transform job's
    payload may have as many lines as it holds, and a bad one costs no other its answer.
    """
    port = free_port()
    script = tmp_path / "serve.py"
    script.write_text(
        f"""
import sys
from pathlib import Path
from serving.settings import platforms
platforms.MODEL_FOLDER, platforms.INFERENCE_PORT = Path({str(tiny_bundle)!r}), "{port}"
sys.argv = ["tuneship", "serve"]
import tuneship
tuneship.main()
"""
    )
    job = {"BATCH": "true", "BATCH_STRATEGY": "MULTI_RECORD", "MAX_PAYLOAD_IN_MB": 1}
    variables = {f"SAGEMAKER_{name}": value for name, value in job.items()}
    with running(python(script), port, tmp_path / "log", **variables) as process:
        assert get(f"{process.url}/ping") == (200, "")
        lines = [{"inputs": f"order {number}"} for number in range(2000)]
        lines[7] = {"inputs": ""}
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        request = urllib.request.Request(f"{process.url}/invocations", body, {"Content-Type": "application/jsonlines"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answers = [json.loads(line) for line in response]
    assert [number for number, each in enumerate(answers) if "error" in each] == [7]
    assert len(answers) == len(lines)


@pytest.mark.slow
def test_a_wrong_archive() -> None:
    """The start ends with a message that names SageMaker's folder."""
    script = """
import sys, tempfile
from pathlib import Path
from serving.settings import platforms
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "model.pkl").touch()
    platforms.MODEL_FOLDER, platforms.INFERENCE_PORT = Path(folder), "0"
    sys.argv = ["tuneship", "serve", "--port", "39999"]
    import tuneship
    tuneship.main()
"""
    result = run_python(script)
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert "is not a bundle" in result.stderr


def ask(url: str, body: object) -> dict[str, list[object]]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answer: dict[str, list[object]] = json.load(response)
    return answer
