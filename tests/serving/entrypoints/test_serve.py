"""`tuneship serve` as a process: it starts or says why not, answers real clients, and loses no request at the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from huggingface_hub import InferenceClient, TextClassificationOutputElement
from huggingface_hub.errors import HfHubHTTPError

from deploy.measurement.process import free_port
from serving.inference.predictor import Predictor
from tests.bundles import endless_graph, forge
from tests.paths import ROOT
from tests.serving.processes import ServerProcess, environment, get, python, run_python, running, serving, until
from tests.test_cli import tuneship_here

TEXT = "where is my parcel?"


def refusal(*arguments: object, **variables: object) -> str:
    """The message of `tuneship serve` when it cannot start: no traceback, exit status 1."""
    result = subprocess.run(
        python("-m", "tuneship", "serve", *arguments),
        cwd=ROOT, env=environment(COLUMNS=80, **variables), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error  ")
    return result.stderr


@pytest.mark.slow
def test_no_thread_for_the_engine(tiny_bundle: Path) -> None:
    """A server whose engine cannot start ends with a message, in place of answering nothing."""
    script = f"""
import threading
from pathlib import Path
from serving.entrypoints.serve import serve_bundles
start = threading.Thread.start
def limited(thread):
    if thread.name.startswith("engine"):
        raise RuntimeError("can't start new thread")
    start(thread)
threading.Thread.start = limited
serve_bundles([{str(tiny_bundle)!r}], host="127.0.0.1", port={free_port()})
"""
    result = run_python(script)
    assert result.returncode == 3, result.stderr  # uvicorn's
    assert "the engine's threads cannot be started (can't start new thread)" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_bundle_that_never_answers(tiny_bundle: Path, tmp_path: Path) -> None:
    """A server whose bundle hangs ends with a message once the time for loading is over."""
    bundle = forge(tiny_bundle, tmp_path / "bundle", files={"model.onnx": endless_graph(tiny_bundle)})
    message = refusal(bundle, "--port", free_port(), TUNESHIP_LOAD_SECONDS=0.5)
    assert "did not repeat its golden answers in time" in " ".join(message.split())


@pytest.mark.slow
def test_stopped_while_loading(tiny_bundle: Path, tmp_path: Path) -> None:
    """SIGTERM ends a server that still loads, though its graph runs on, as it ends one that serves."""
    bundle = forge(tiny_bundle, tmp_path / "bundle", files={"model.onnx": endless_graph(tiny_bundle)})
    script = f"""
import os, signal, threading
from serving.entrypoints.serve import serve_bundles
from serving.inference.session import Session
run = Session.run
def run_and_stop(*arguments):
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    return run(*arguments)
Session.run = run_and_stop
serve_bundles([{str(bundle)!r}], host="127.0.0.1", port={free_port()})
"""
    result = run_python(script)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_stopped_while_a_new_version_hangs(tiny_bundle: Path, tmp_path: Path) -> None:
    """SIGTERM ends a server in time whose new version never answers."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    with serving(bundle, folder=tmp_path) as server:
        graph = endless_graph(tiny_bundle)
        forge(tiny_bundle, tmp_path / "next", files={"model.onnx": graph})
        bundle.rename(tmp_path / "before")
        (tmp_path / "next").rename(bundle)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert server.stop(10) == 0
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("path", ["", "/predict"])
def test_huggingface_client(server: ServerProcess, predictor: Predictor, path: str) -> None:
    """huggingface_hub's InferenceClient works unchanged, with the server's address and the endpoint's."""
    answer = InferenceClient(server.url + path).text_classification(TEXT)
    expected = predictor.predict([TEXT])[0]
    assert all(isinstance(each, TextClassificationOutputElement) for each in answer)
    assert [{"label": each.label, "score": each.score} for each in answer] == expected


@pytest.mark.parametrize("path", ["", "/predict"])
def test_huggingface_client_parameters(server: ServerProcess, predictor: Predictor, path: str) -> None:
    """The client's options top_k and function_to_apply work."""
    client = InferenceClient(server.url + path)
    best, second = client.text_classification(TEXT, top_k=2)
    assert [best.label, second.label] == [each["label"] for each in predictor.predict([TEXT])[0]][:2]
    (loose,) = client.text_classification(TEXT, top_k=1, function_to_apply="sigmoid")
    assert loose.label == best.label
    assert loose.score != best.score


def test_huggingface_client_error(server: ServerProcess) -> None:
    """The client raises its own exception with the server's message."""
    with pytest.raises(HfHubHTTPError) as caught:
        InferenceClient(server.url).text_classification(" ")
    assert caught.value.response.status_code == 422
    assert "inputs is empty; a text needs at least one visible character" in caught.value.response.text


def test_endpoints(server: ServerProcess) -> None:
    """Health, information and metrics have endpoints."""
    assert get(f"{server.url}/livez") == (200, "ok\n")
    assert get(f"{server.url}/readyz") == (200, "ready\n")
    assert json.loads(get(f"{server.url}/info")[1])["parity"]["passed"] is True
    assert "tuneship_bundle_info" in get(f"{server.url}/metrics")[1]
    assert get(f"{server.url}/nothing")[0] == 404


def test_log_at_start(server: ServerProcess, predictor: Predictor) -> None:
    """The log names the model, the bundle and the address."""
    log = server.log.read_text()
    assert predictor.manifest.name in log
    assert predictor.bundle.digest[:12] in log
    assert server.url in log


def test_no_server_header(server: ServerProcess) -> None:
    """Responses do not name the server's software."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"server:" not in read_all(connection).lower()


@pytest.mark.slow
def test_port_variable(tiny_bundle: Path, tmp_path: Path) -> None:
    """The server listens on $PORT, as Cloud Run and others set it."""
    port = free_port()
    with running(python("-m", "tuneship", "serve", tiny_bundle), port, tmp_path / "log", PORT=port) as server:
        assert get(f"{server.url}/livez") == (200, "ok\n")


def read_all(connection: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def begin_request(port: int, body: bytes) -> socket.socket:
    """A connection with an accepted request whose body is not sent yet."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = (
        "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    connection.sendall(head.encode())
    assert connection.recv(1024).startswith(b"HTTP/1.1 100 Continue")
    return connection


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(tiny_bundle: Path, tmp_path: Path, number: signal.Signals, predictor: Predictor) -> None:
    """After a signal, an accepted request is answered, no new one is accepted, and the exit status is 0."""
    port, body = free_port(), json.dumps({"inputs": TEXT}).encode()
    command = python("-m", "tuneship", "serve", tiny_bundle, "--port", port)
    with running(command, port, tmp_path / "log") as server, begin_request(port, body) as connection:
        server.process.send_signal(number)
        wait_until_refused(port)
        connection.sendall(body)
        head, _, answer = read_all(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert json.loads(answer) == predictor.predict([TEXT])
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.log.read_text()


def wait_until_refused(port: int) -> None:
    """Wait until connections are refused."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            time.sleep(0.02)
        except ConnectionRefusedError:
            return
    raise AssertionError("new connections are still taken")


@pytest.mark.slow
def test_port_in_use(tiny_bundle: Path) -> None:
    """A port in use is an error that names the port and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = refusal(tiny_bundle, "--port", port)
    assert f"cannot listen on 127.0.0.1:{port}: " in message
    assert "Address already in use" in message
    assert "Choose another --port or --host" in message


@pytest.mark.slow
def test_no_such_host(tiny_bundle: Path) -> None:
    """An address of another machine is an error."""
    assert "cannot listen on 192.0.2.1:" in refusal(tiny_bundle, "--host", "192.0.2.1", "--port", free_port())


@pytest.mark.slow
def test_altered_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    """An altered bundle is an error that names the file."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (bundle / "README.md").write_text("# Another\n")
    assert "README.md was altered" in refusal(bundle, "--port", free_port())


@pytest.mark.slow
def test_no_bundle(tmp_path: Path) -> None:
    """A folder without a bundle is an error with the command that makes one."""
    assert "tuneship export RUN" in refusal(tmp_path, "--port", free_port())


@pytest.mark.slow
def test_bad_variable(tiny_bundle: Path) -> None:
    """A malformed variable is an error that names it."""
    message = refusal(tiny_bundle, "--port", free_port(), TUNESHIP_MAX_QUEUE="many")
    assert "TUNESHIP_MAX_QUEUE is 'many'; a whole number of at least 1 is accepted" in message


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_bad_port(tiny_bundle: Path, port: str) -> None:
    """An invalid port is a usage error."""
    result = tuneship_here("serve", tiny_bundle, "--port", port)
    assert result.returncode == 2
    assert "--port" in result.stderr


@pytest.mark.slow
def test_sighup(tiny_bundle: Path, tmp_path: Path) -> None:
    """SIGHUP looks for new versions; an invalid one is logged, and the old one is served on."""
    bundle, port = shutil.copytree(tiny_bundle, tmp_path / "bundle"), free_port()
    command = python("-m", "tuneship", "serve", f"support={bundle}", tiny_bundle, "--port", port)
    with running(command, port, tmp_path / "log") as server:
        (bundle / "README.md").write_text("# Another\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "refused" in server.log.read_text(), seconds=20)
        assert re.search(r"new version of support refused, \w+ stays: .*README\.md was altered", server.log.read_text())
        listed = json.loads(get(f"{server.url}/models")[1])["models"]
        assert [each["name"] for each in listed] == ["support", "run"]
        assert listed[0]["last_reload"]["outcome"] == "refused"
        assert get(f"{server.url}/readyz") == (200, "ready\n")


@pytest.mark.slow
def test_sighup_while_starting(tiny_bundle: Path, tmp_path: Path) -> None:
    """A SIGHUP before the server is ready is handled when it is ready."""
    bundle, port, log = shutil.copytree(tiny_bundle, tmp_path / "bundle"), free_port(), tmp_path / "log"
    more = [f"{name}={tiny_bundle}" for name in "abcdef"]
    command = python("-m", "tuneship", "serve", bundle, *more, "--port", port)
    told = threading.Thread(target=_hang_up_once_announced, args=(log, bundle))
    told.start()
    with running(["bash", "-c", f'echo $$ > {tmp_path}/pid; exec "$@"', "-", *command], port, log) as server:
        told.join()
        until(lambda: json.loads(get(f"{server.url}/info")[1])["last_reload"] is not None, seconds=20)
        assert json.loads(get(f"{server.url}/info")[1])["last_reload"]["outcome"] == "refused"


def _hang_up_once_announced(log: Path, bundle: Path) -> None:
    """When the first bundle is loaded, alter it and send SIGHUP."""
    until(lambda: log.is_file() and "serving run" in log.read_text(), seconds=20)
    (bundle / "README.md").write_text("# Another\n")
    os.kill(int((log.parent / "pid").read_text()), signal.SIGHUP)
