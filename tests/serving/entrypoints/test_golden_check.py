"""A bundle's golden answers come through every channel, in process and from servers; other answers are detected."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from deploy.measurement.process import free_port
from serving.bundle.bundle import Bundle
from serving.entrypoints.golden_check import Ask, check_golden, select_variant
from serving.entrypoints.remote_client import RemoteServer, RemoteServerError, infer_request
from serving.errors import BundleError, InputError
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.lambda_handler import Function
from serving.settings.settings import ServerSettings
from tests.batch.predicting import predict_file
from tests.bundles import forge, golden_with
from tests.containers import build_image, container, docker, wait_until_ready, why_no_engine
from tests.serving.processes import python, running
from tests.serving.runtime_api import RuntimeApi
from tests.serving.test_lambda_handler import event_of
from tests.test_cli import assert_refused, tuneship_here
from tests.toys import GENERATING_TOYS, TOYS

TASKS = (*TOYS, *GENERATING_TOYS)


@contextmanager
def in_process(bundle: Path, _: Path) -> Iterator[Ask]:
    """The code that was proven."""
    yield Predictor.open(bundle).predict


@contextmanager
def http(bundle: Path, _: Path) -> Iterator[Ask]:
    """The HTTP surface."""
    with TestClient(create_app(lambda: Predictor.open(bundle))) as client:
        yield lambda inputs: client.post("/predict", json={"inputs": inputs}).json()


@contextmanager
def open_inference(bundle: Path, _: Path) -> Iterator[Ask]:
    """The Open Inference Protocol."""
    with TestClient(create_app(lambda: Predictor.open(bundle))) as client:
        name = client.get("/info").json()["served_as"]

        def ask(inputs: list[Any]) -> list[Any]:
            (output,) = client.post(f"/v2/models/{name}/infer", json=infer_request(inputs)).json()["outputs"]
            return [json.loads(each) for each in output["data"]]

        yield ask


@contextmanager
def aws_lambda(bundle: Path, _: Path) -> Iterator[Ask]:
    """The Lambda handler, by a plain invocation where an input is alone, by a Function URL's event else."""
    function = Function(ServerSettings(bundle=bundle))

    def ask(inputs: list[Any]) -> list[Any]:
        if len(inputs) == 1:
            answers: list[Any] = function({"inputs": inputs})
            return answers
        event = event_of("function_url", "POST", "/predict", json.dumps({"inputs": inputs}))
        body: list[Any] = json.loads(function(event)["body"])
        return body

    yield ask
    function.close()


@contextmanager
def batch(bundle: Path, folder: Path) -> Iterator[Ask]:
    """A file of JSON lines."""
    opened = Predictor.open(bundle)

    def ask(inputs: list[Any]) -> list[Any]:
        (folder / "in").write_text("".join(json.dumps({"inputs": each}) + "\n" for each in inputs))
        predict_file(opened, folder / "in", folder / "out")
        return [json.loads(line)["outputs"] for line in (folder / "out").read_text().splitlines()]

    yield ask


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("channel", [in_process, http, open_inference, aws_lambda, batch])
def test_every_channel(
    channel: Callable[..., Any], task: str, task_bundle: Callable[[str], Path], tmp_path: Path
) -> None:
    """Every channel gives every golden answer of every task, alone and together with others."""
    opened = Bundle.open(task_bundle(task))
    with channel(opened.root, tmp_path) as ask:
        reports = check_golden(opened, channel.__name__, ask)
    assert [report.rows for report in reports] == [opened.manifest.golden.rows] * 2
    assert [difference for report in reports for difference in report.differences] == []


@pytest.mark.slow
def test_tuneship_serve(tiny_bundle: Path, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """`tuneship verify --url` finds the bundle and its answers at `tuneship serve`, each model at its address."""
    port = free_port()
    command = ("serve", f"exact={tiny_bundle}", f"small={tiny_int8_bundle}", "--port", port)
    with running(python("-m", "tuneship", *command), port, tmp_path / "log") as server:
        small = tuneship_here("verify", tiny_int8_bundle, "--url", f"{server.url}/models/small/")
        default = tuneship_here("verify", tiny_bundle, "--url", server.url)
    assert (small.returncode, default.returncode) == (0, 0), small.stdout + default.stdout
    assert "serves this bundle (int8)" in small.stdout
    rows = Bundle.open(tiny_bundle).manifest.golden.rows
    assert f"serves this bundle (fp32), sha256 {Bundle.open(tiny_bundle).digest}" in default.stdout
    assert default.stdout.count(f"{rows} golden answers match") == 4


@pytest.mark.slow
def test_bentoml(task_bundle: Callable[[str], Path], tmp_path: Path) -> None:
    """One `bentoml serve` gives the golden answers of every task; tests/serving/test_service.py holds a lone bundle."""
    bundles = {task.replace(" ", "-"): Bundle.open(task_bundle(task)) for task in TASKS}
    (tmp_path / "bundles").mkdir()
    for name, opened in bundles.items():
        (tmp_path / "bundles" / name).symlink_to(opened.root, target_is_directory=True)
    port = free_port()
    command = python("-m", "bentoml", "serve", "serving.service:Tuneship", "--host", "127.0.0.1", "--port", port)
    variables = {
        "TUNESHIP_BUNDLE": tmp_path / "bundles", "BENTOML_HOME": tmp_path / "home", "BENTOML_DO_NOT_TRACK": "True",
    }  # fmt: skip
    with running(command, port, tmp_path / "log", **variables) as process:
        for name, opened in bundles.items():
            server = RemoteServer(f"{process.url}/models/{name}")
            assert server.info()["bundle_sha256"] == opened.digest
            assert all(report.passed for report in check_golden(opened, name, server.predict))


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine() or "engine")
@pytest.mark.parametrize("task", ["text-classification", "token-classification", "question-answering"])
def test_container(task: str, task_bundle: Callable[[str], Path], tmp_path: Path) -> None:
    """The image gives the golden answers in each of its modes: HTTP, BentoML, Lambda and batch."""
    opened = Bundle.open(task_bundle(task))
    image = build_image(opened.root, tmp_path)
    for mode in ("serve", "bentoml"):
        port = free_port()
        with container("--read-only", "--env", f"PORT={port}", image=image, command=(mode,)) as name:
            wait_until_ready(port, name)
            result = tuneship_here("verify", opened.root, "--url", f"http://127.0.0.1:{port}")
            assert result.returncode == 0, result.stdout + result.stderr
            assert result.stdout.count(f"{opened.manifest.golden.rows} golden answers match") == 4
    with RuntimeApi() as api, ExitStack() as stack:
        variables = ("--read-only", "--env", f"AWS_LAMBDA_RUNTIME_API={api.address}")
        stack.enter_context(container(*variables, image=image, command=("lambda",)))
        reports = check_golden(opened, "lambda", lambda inputs: api.invoke({"inputs": inputs}).payload)
    assert [difference for report in reports for difference in report.differences] == []
    inputs = [row.inputs for row in opened.golden]
    answers = dict(
        zip(map(str, inputs), batch_in(image, tmp_path)(inputs), strict=True)
    )  # one container, not one a row
    reports = check_golden(opened, "batch", lambda some: [answers[str(one)] for one in some])
    assert [difference for report in reports for difference in report.differences] == []


def batch_in(image: str, folder: Path) -> Ask:
    """A file of JSON lines, answered by `tuneship predict` in a container."""
    shared = folder / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)

    def ask(inputs: list[Any]) -> list[Any]:
        (shared / "in").write_text("".join(json.dumps({"inputs": each}) + "\n" for each in inputs))
        command = (
            "python",
            "-m",
            "tuneship",
            "predict",
            "/app/bundle",
            "--input",
            "/shared/in",
            "--output",
            "/shared/out",
        )
        docker("run", "--rm", "--volume", f"{shared}:/shared", image, *command)
        return [json.loads(line)["outputs"] for line in (shared / "out").read_text().splitlines()]

    return ask


@pytest.mark.slow
def test_another_bundle_is_detected(tiny_bundle: Path, tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """A server of another bundle is detected by its hash, even if it gives the same answers."""
    other = forge(tiny_bundle, tmp_path / "other", files={"README.md": b"# Another\n"})
    with claiming(Predictor.open(other), {}) as url:
        result = tuneship_here("verify", tiny_bundle, "--url", url)
    assert result.returncode == 1
    assert f"serves another bundle: {Bundle.open(other).manifest.name} (fp32), sha256 {Bundle.open(other).digest}" in (
        result.stdout
    )
    assert result.stdout.count("golden answers match") == 2
    with claiming(Predictor.open(tiny_int8_bundle), {}) as url:
        assert_refused(
            tuneship_here("verify", tiny_bundle, "--url", url), "holds no variant 'int8', which the server serves"
        )


def test_a_perturbed_server_is_detected(tiny_bundle: Path, tiny_int8_bundle: Path) -> None:
    """A server that claims to serve this bundle but has another graph is detected by its answers."""
    digest = Bundle.open(tiny_bundle).digest
    with claiming(Predictor.open(tiny_int8_bundle), {"bundle_sha256": digest, "variant": "fp32"}) as url:
        result = tuneship_here("verify", tiny_bundle, "--url", url)
    assert result.returncode == 1
    assert "serves this bundle (fp32)" in result.stdout
    assert "golden answers differ" in result.stdout
    assert "row 1 (" in result.stdout
    assert ".score is" in result.stdout


Answers = list[Any]


def swapped(answers: Answers) -> Answers:
    """The best label with the second's name."""
    first, second = answers[0][0]["label"], answers[0][1]["label"]
    return [
        [{**each, "label": {first: second, second: first}.get(each["label"], each["label"])} for each in answers[0]]
    ]


def shifted(answers: Answers) -> Answers:
    """A score that is off by more than rounding."""
    return [[{**answers[0][0], "score": answers[0][0]["score"] - 0.001}, *answers[0][1:]]]


def fewer(answers: Answers) -> Answers:
    """The best label alone."""
    return [answers[0][:1]]


def none(_: Answers) -> Answers:
    """What is no answer."""
    return [{"label": "refund"}]


def not_a_number(answers: Answers) -> Answers:
    """A score that compares with nothing."""
    return [[{**each, "score": float("nan")} for each in answers[0]]]


@pytest.mark.parametrize(
    ("perturb", "reason"),
    [
        (swapped, "answered '"),
        (shifted, "score is"),
        (fewer, "the answer is"),
        (none, "is not an answer of text-classification"),
        (not_a_number, "score is nan"),
    ],
)
def test_each_perturbation_is_detected(
    tiny_bundle: Path, predictor: Predictor, perturb: Callable[[Answers], Answers], reason: str
) -> None:
    """Another label, another score, missing labels and invalid answers are reported for every row."""
    opened = Bundle.open(tiny_bundle)
    report, _ = check_golden(
        opened, "perturbed", lambda inputs: [perturb(predictor.predict([each]))[0] for each in inputs]
    )
    assert len(report.differences) == report.rows
    assert reason in report.differences[0].reason


def test_order_of_other_labels(tiny_bundle: Path, predictor: Predictor) -> None:
    """The order of the labels after the best one does not matter."""
    report, _ = check_golden(
        Bundle.open(tiny_bundle), "turned", lambda inputs: [[a[0], *a[:0:-1]] for a in predictor.predict(inputs)]
    )
    assert report.passed


def test_fewer_answers_than_inputs(tiny_bundle: Path) -> None:
    """A channel that loses an input is detected."""
    report, _ = check_golden(Bundle.open(tiny_bundle), "lossy", lambda inputs: [])
    assert len(report.differences) == report.rows


@pytest.mark.slow
def test_a_fallen_back_server(tiny_fallback_bundle: Path, tmp_path: Path) -> None:
    """A server with a fallback is compared with the golden answers of the variant it serves; its warning is shown."""

    def wrong(row: dict[str, Any]) -> None:
        row["logits"][0][0] += 1.0

    changed = golden_with(tiny_fallback_bundle, wrong)
    fallen = forge(tiny_fallback_bundle, tmp_path / "fallen", files={"golden.jsonl": changed})
    port = free_port()
    with running(python("-m", "tuneship", "serve", fallen, "--port", port), port, tmp_path / "log") as server:
        result = tuneship_here("verify", fallen, "--url", server.url)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "serves this bundle (fp32)" in result.stdout
    assert "! the int8 variant does not serve here" in result.stdout
    here = tuneship_here("verify", fallen)
    assert here.returncode == 0
    assert "! the int8 variant does not serve here" in here.stdout
    assert "golden answers hold here, fp32" in here.stdout


@pytest.mark.parametrize(
    "url", ["ftp://example.org", "file:///etc/passwd", "", "http://", "http://[::1", "http://127.0.0.1:port"]
)
def test_wrong_addresses(url: str) -> None:
    """Only HTTP addresses are accepted."""
    with pytest.raises(InputError, match=re.escape(f"{url!r} is no address of a server")):
        RemoteServer(url)


def test_an_unreachable_server() -> None:
    """A server that cannot be reached is an error of its own, not of the input."""
    with pytest.raises(RemoteServerError, match=r"http://127\.0\.0\.1:9/info cannot be reached") as caught:
        RemoteServer("http://127.0.0.1:9").info()
    assert not isinstance(caught.value, InputError)


def test_a_refusal_is_reported(tiny_bundle: Path) -> None:
    """The message has the server's reason."""
    with (
        claiming(Predictor.open(tiny_bundle), {}) as url,
        pytest.raises(RemoteServerError, match=r"answered 422: .*no inputs"),
    ):
        RemoteServer(url).predict([])


def test_a_busy_server_is_retried(tiny_bundle: Path) -> None:
    """After 429 and 503 the client waits as long as the server says."""
    with claiming(Predictor.open(tiny_bundle), {}, busy=2) as url:
        assert len(RemoteServer(url).predict(["stop"])) == 1


def test_the_api_key_is_sent(tiny_bundle: Path) -> None:
    """The key is sent as a bearer token."""
    with claiming(Predictor.open(tiny_bundle), {}, key="secret") as url:
        with pytest.raises(RemoteServerError, match="answered 401"):
            RemoteServer(url).info()
        assert RemoteServer(url, "secret").info()


def test_not_a_tuneship_server(tiny_bundle: Path) -> None:
    """The /info of another kind of server is an error."""
    with (
        claiming(Predictor.open(tiny_bundle), {"variant": ...}) as url,
        pytest.raises(RemoteServerError, match="not that of"),
    ):
        RemoteServer(url).info()


def test_unknown_variant(tiny_bundle: Path) -> None:
    """An unknown variant is an error that lists the bundle's variants."""
    with pytest.raises(BundleError, match=r"holds no variant 'bf16'.*it holds: fp32"):
        select_variant(Bundle.open(tiny_bundle), "bf16")


@contextmanager
def claiming(predictor: Predictor, claims: dict[str, Any], *, busy: int = 0, key: str = "") -> Iterator[str]:
    """The address of a server over a predictor whose /info claims something else (``...``: says nothing of it)."""
    manifest = predictor.manifest
    truth = {"name": manifest.name, "bundle_sha256": manifest.digest, "variant": manifest.graph.variant}
    info = {name: value for name, value in {**truth, **claims}.items() if value is not ...}
    refusals = [429, 503] * busy

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = not key or self.headers.get("Authorization") == f"Bearer {key}"
            self._send(200 if allowed else 401, info if allowed else {})

        def do_POST(self) -> None:
            inputs = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["inputs"]
            if refusals:
                self._send(refusals.pop(), {"error": "later"})
            elif not inputs:
                self._send(422, {"error": "no inputs"})
            else:
                self._send(200, predictor.predict(inputs))

        def _send(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """What matters is in the answers."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
