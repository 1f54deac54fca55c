"""`bentoml serve` as a process: the same app, answers and endpoints as `tuneship serve`, and BentoML's own clients."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest
from bentoml.exceptions import BentoMLException
from huggingface_hub import InferenceClient
from starlette.testclient import TestClient

from deploy.measurement.process import free_port
from serving.bundle.bundle import Bundle
from serving.entrypoints.golden_check import check_golden
from serving.entrypoints.remote_client import RemoteServer
from serving.inference.predictor import Predictor
from tests.keys import make_keys
from tests.serving.processes import ServerProcess, get, python, run_python, running

TEXTS = ["where is my parcel?", "refund order 17", "我的卡 👍🏽"]
FOREIGN = re.compile(r"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?(?:https?:)?//""", re.I)


@pytest.fixture(scope="module")
def service(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real `bentoml serve` process over the fp32 bundle, with a BentoML home of its own."""
    folder, port = tmp_path_factory.mktemp("bentoml"), free_port()
    command = python("-m", "bentoml", "serve", "serving.service:Tuneship", "--host", "127.0.0.1", "--port", port)
    variables = {"TUNESHIP_BUNDLE": tiny_bundle, "BENTOML_HOME": folder / "home", "BENTOML_DO_NOT_TRACK": "True"}
    with running(command, port, folder / "log", **variables) as process:
        yield process


def post(url: str, content: bytes, content_type: str = "application/json") -> tuple[int, Any]:
    """Status and JSON of a POST, whatever the status."""
    request = urllib.request.Request(url, content, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("path", ["/predict", "/"])
def test_answers(service: ServerProcess, predictor: Predictor, path: str) -> None:
    """A single text gets exactly the predictor's answer, at both paths."""
    for text in TEXTS:
        status, answers = post(service.url + path, json.dumps({"inputs": text}).encode())
        assert status == 200
        assert answers == predictor.predict([text])


def test_golden_answers(service: ServerProcess, tiny_bundle: Path) -> None:
    """It serves the bundle and gives all of its golden answers."""
    opened, server = Bundle.open(tiny_bundle), RemoteServer(service.url)
    assert server.info()["bundle_sha256"] == opened.digest
    assert all(report.passed for report in check_golden(opened, "bentoml", server.predict))


def test_several(service: ServerProcess, predictor: Predictor) -> None:
    """Several texts in one request get the predictor's answers."""
    answers = post(f"{service.url}/predict", json.dumps({"inputs": TEXTS}).encode())[1]
    for answer, expected in zip(answers, predictor.predict(TEXTS), strict=True):
        assert [each["label"] for each in answer] == [each["label"] for each in expected]
        # The last digits of a product depend on how many rows it has, and others' rows may join them.
        assert [each["score"] for each in answer] == pytest.approx([each["score"] for each in expected], abs=1e-6)


def test_huggingface_client(service: ServerProcess, predictor: Predictor) -> None:
    """huggingface_hub's InferenceClient works unchanged."""
    (best,) = InferenceClient(service.url).text_classification(TEXTS[0], top_k=1)
    assert {"label": best.label, "score": best.score} == predictor.predict(TEXTS[:1])[0][0]


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"inputs": "\xff"}', "application/json", 400),
        (b'{"inputs": ""}', "application/json", 422),
        (b'{"inputs": "a", "b": 1}', "application/json", 422),
        (json.dumps({"inputs": "x" * 100_001}).encode(), "application/json", 413),
        (b"x" * (5 * 2**20), "application/json", 413),
        (b"inputs=a", "application/x-www-form-urlencoded", 415),
    ],
    ids=range(7),
)
def test_refused(service: ServerProcess, client: TestClient, content: bytes, content_type: str, status: int) -> None:
    """Errors are the same as without BentoML."""
    answer = post(f"{service.url}/predict", content, content_type)
    expected = client.post("/predict", content=content, headers={"content-type": content_type})
    assert answer == (status, expected.json())


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health(service: ServerProcess, path: str) -> None:
    """BentoML's health endpoint exists too."""
    assert get(service.url + path)[0] == 200


@pytest.mark.parametrize(
    ("path", "ours"), [("/info", "/info"), ("/openapi.json", "/openapi.json"), ("/docs.json", "/openapi.json")]
)
def test_endpoints(service: ServerProcess, client: TestClient, path: str, ours: str) -> None:
    """/info and the OpenAPI document are the app's, the latter also where BentoML has its own."""
    (status, text), expected = get(service.url + path), client.get(ours).json()
    assert status == 200
    answer = json.loads(text)
    assert {key for key in answer.keys() | expected.keys() if answer.get(key) != expected.get(key)} == set()


def test_metrics(service: ServerProcess) -> None:
    """/metrics is the app's, and unknown paths add no time series."""
    post(f"{service.url}/predict", json.dumps({"inputs": "stop"}).encode())
    for number in range(5):
        get(f"{service.url}/random/{number}")
    status, text = get(f"{service.url}/metrics")
    assert status == 200
    assert re.search(r'tuneship_requests_total\{.*route="/predict",status="200"\}', text)
    assert "process_resident_memory_bytes" in text
    assert "tuneship_bundle_info{" in text
    assert "random" not in text
    assert "bentoml_service" not in text
    assert {path.name for path in service.log.parent.rglob("*.db")} == {
        "task_result.db"
    }  # no counts in files, as Prometheus' client has for many processes


@pytest.mark.parametrize("path", ["/", "/docs", "/schema.json", "/nothing", "/static_content/index.css"])
def test_loads_nothing_foreign(service: ServerProcess, path: str) -> None:
    """No page loads or links anything from another host, or reports its visitors."""
    _, text = get(service.url + path)
    assert "googletagmanager" not in text
    assert not FOREIGN.search(text)


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("POST", "/livez"), ("GET", "/models/no/info")])
def test_unknown_paths(service: ServerProcess, client: TestClient, method: str, path: str) -> None:
    """An unknown path or method gets the app's error, with a request id and the security headers."""
    ours, alone = httpx.request(method, service.url + path), client.request(method, path)
    assert (ours.status_code, ours.json()) == (alone.status_code, alone.json())
    assert {"x-request-id", "x-content-type-options", "content-security-policy"} <= ours.headers.keys()


def test_page(service: ServerProcess, client: TestClient) -> None:
    """GET / is our own page, not BentoML's."""
    assert get(f"{service.url}/") == (200, client.get("/").text)


@pytest.mark.slow
def test_bentomls_client(service: ServerProcess, predictor: Predictor) -> None:
    """BentoML's SyncHTTPClient has a method ``predict`` that takes inputs and parameters."""
    with bentoml.SyncHTTPClient(service.url) as client:
        assert client.predict(inputs=TEXTS[0]) == predictor.predict(TEXTS[:1])
        for answer, expected in zip(client.predict(inputs=TEXTS), predictor.predict(TEXTS), strict=True):
            assert [each["label"] for each in answer] == [each["label"] for each in expected]
            # The last digits of a product depend on how many rows it has.
            assert [each["score"] for each in answer] == pytest.approx([each["score"] for each in expected], abs=1e-6)
        ((best,),) = client.predict(inputs=TEXTS[0], parameters={"top_k": 1})
        assert best == predictor.predict(TEXTS[:1])[0][0]


def test_bentomls_asynchronous_client(service: ServerProcess, predictor: Predictor) -> None:
    """AsyncHTTPClient has it too."""

    async def main() -> None:
        async with bentoml.AsyncHTTPClient(service.url) as client:
            assert await client.predict(inputs=TEXTS[1]) == predictor.predict(TEXTS[1:2])

    asyncio.run(main())


def test_bentomls_client_is_refused(service: ServerProcess) -> None:
    """The client raises the app's refusal with its status and message."""
    with bentoml.SyncHTTPClient(service.url) as client, pytest.raises(BentoMLException) as caught:
        client.predict(inputs="")
    assert caught.value.error_code == 422
    assert "inputs is empty; a text needs at least one visible character" in str(caught.value)


@pytest.mark.slow
def test_stops(service: ServerProcess) -> None:
    """SIGTERM ends the service and its workers with status 0. This is the last test with this process."""
    assert service.stop() == 0
    with pytest.raises(OSError, match="refused"):
        get(f"{service.url}/livez")


@pytest.mark.slow
def test_same_settings(tiny_bundle: Path, tmp_path: Path) -> None:
    """Keys, hosts and logs have the settings of `tuneship serve`, for BentoML's own pages too.

    BentoML's log lines have the same format.
    """
    port, key = free_port(), "bento-key-0123456789"
    command = python("-m", "bentoml", "serve", "serving.service:Tuneship", "--host", "127.0.0.1", "--port", port)
    variables = {
        "TUNESHIP_BUNDLE": tiny_bundle, "BENTOML_HOME": tmp_path / "home", "BENTOML_DO_NOT_TRACK": "True",
        "TUNESHIP_API_KEYS": key, "TUNESHIP_LOG_FORMAT": "json", "TUNESHIP_ALLOWED_HOSTS": "127.0.0.1",
    }  # fmt: skip
    with running(command, port, tmp_path / "log", **variables) as process:
        with httpx.Client(base_url=process.url) as caller:
            for path in ("/docs", "/schema.json", "/static_content/index.css"):
                assert caller.get(path).status_code == 401
                assert caller.get(path, headers={"X-API-Key": key, "Host": "b.example"}).status_code == 421
            assert caller.get("/schema.json", headers={"X-API-Key": key}).status_code == 200
            assert caller.post("/schema.json", headers={"X-API-Key": key}, content=b"a" * 5_000_000).status_code == 405
            assert caller.get("/healthz").text == "ok\n"
        assert post(f"{process.url}/predict", b'{"inputs": "a secret"}')[0] == 401
        assert InferenceClient(process.url, token=key).text_classification("a secret", top_k=1)
        assert process.stop() == 0
        lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    requests = [(line["status"], line["route"]) for line in lines if line["logger"] == "tuneship.access"]
    assert {(401, "other"), (200, "/")} <= set(requests)
    assert "bentoml" in {line["logger"].partition(".")[0] for line in lines}
    assert not re.search(f"{key}|secret", json.dumps(lines))


@pytest.mark.slow
def test_sighup(tiny_bundle: Path, tmp_path: Path) -> None:
    """At SIGHUP the worker looks for a new version; it refuses an invalid one and is not restarted."""
    bundle, port = shutil.copytree(tiny_bundle, tmp_path / "bundle"), free_port()
    command = python("-m", "bentoml", "serve", "serving.service:Tuneship", "--host", "127.0.0.1", "--port", port)
    variables = {"TUNESHIP_BUNDLE": bundle, "BENTOML_HOME": tmp_path / "home", "BENTOML_DO_NOT_TRACK": "True"}
    with running(command, port, tmp_path / "log", **variables) as process:
        started = re.search(r"process_start_time_seconds \S+", get(f"{process.url}/metrics")[1])
        (bundle / "README.md").write_text("# Another\n")
        process.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while (last := json.loads(get(f"{process.url}/info")[1])["last_reload"]) is None:
            assert time.monotonic() < deadline, process.log.read_text()
            time.sleep(0.05)
        assert last["outcome"] == "refused"
        assert "README.md was altered" in last["reason"]
        assert started is not None
        assert started[0] in get(f"{process.url}/metrics")[1]
        assert process.stop() == 0


@pytest.mark.slow
def test_no_bundle(tmp_path: Path) -> None:
    """Without a bundle the import fails, so that no Bento without one is built."""
    result = run_python("import serving.service", TUNESHIP_BUNDLE=tmp_path)
    assert result.returncode == 1
    assert f"there is no bundle at {tmp_path}. Put one there (make bento BUNDLE=…) or set" in result.stderr


@pytest.mark.slow
def test_malformed_keys(tiny_bundle: Path, tmp_path: Path) -> None:
    """Unreadable API keys end `bentoml serve` at once, instead of restarting its worker forever."""
    keys = tmp_path / "absent"
    result = run_python("import serving.service", TUNESHIP_BUNDLE=tiny_bundle, TUNESHIP_API_KEYS_FILE=keys)
    assert result.returncode == 1
    assert "absent cannot be read as a file of API keys" in result.stderr


@pytest.mark.slow
def test_the_parent_holds_no_model(tiny_bundle: Path) -> None:
    """The parent process of `bentoml serve` loads neither the runtime nor the app."""
    result = run_python("import sys, serving.service; print(*sys.modules)", TUNESHIP_BUNDLE=tiny_bundle)
    assert result.returncode == 0, result.stderr
    assert {"onnxruntime", "tokenizers", "numpy", "serving.http.app"}.isdisjoint(result.stdout.split())


@pytest.mark.slow
def test_requires_a_signature(tiny_bundle: Path, tmp_path: Path) -> None:
    """If a signature is required, the service does not load an unsigned bundle."""
    key = make_keys(tmp_path / "keys").public
    script = "import serving.service; serving.service.bundles[0].open()"
    result = run_python(script, TUNESHIP_BUNDLE=tiny_bundle, TUNESHIP_REQUIRE_SIGNATURE=key)
    assert result.returncode == 1
    assert "is not signed: it has no model.sig" in result.stderr


TIMERS = """
import asyncio
from bentoml._internal.configuration.containers import BentoMLContainer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from serving.service import Tuneship, lazy_app

made = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(made))
BentoMLContainer.tracer_provider.set(provider)

async def receive():
    return {"type": "http.request"}

async def send(message):
    pass

async def main():
    app = Tuneship.to_asgi(is_main=True)
    lazy_app.app  # as the lifespan creates it
    for _ in range(200):
        scope = {"type": "http", "method": "GET", "path": "/livez", "query_string": b"", "headers": []}
        await app(scope, receive, send)
    print(*(layer.cls.__name__ for layer in app.user_middleware))
    print(len(made.get_finished_spans()))
    print(len(asyncio.get_running_loop()._scheduled))

asyncio.run(main())
"""


@pytest.mark.slow
def test_bentoml_keeps_no_request(tiny_bundle: Path) -> None:
    """A finished request leaves no timer in memory, and BentoML adds no access log, metric or span to a request."""
    result = run_python(TIMERS, TUNESHIP_BUNDLE=tiny_bundle, BENTOML_DO_NOT_TRACK="True")
    assert result.returncode == 0, result.stderr
    layers, spans, timers = result.stdout.splitlines()[-3:]
    assert {"AccessLogMiddleware", "RunnerTrafficMetricsMiddleware"}.isdisjoint(layers.split())
    assert (int(spans), int(timers)) == (0, 0)
