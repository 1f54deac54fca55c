"""A server that does not stop in time ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from tests.serving.http.server.test_connection import connect, post
from tests.serving.processes import python, run_python, running

SCRIPT = """
import logging, threading
from serving.http.server.last_resort import end_within, start_watching
logging.basicConfig()
{start}
end_within(60)
end_within(0.1)
threading.Event().wait({seconds})
"""


@pytest.mark.slow
def test_ends_by_force() -> None:
    """The process ends at the earliest of the times, with a line that says what still ran."""
    result = run_python(SCRIPT.format(start="start_watching()", seconds=300))
    assert result.returncode == 1
    assert "not stopped within" in result.stderr
    assert "ending now, while MainThread run" in result.stderr


@pytest.mark.slow
def test_another_process_is_left_alone() -> None:
    """A process that does not run the server is not ended."""
    result = run_python(SCRIPT.format(start="", seconds=1))
    assert (result.returncode, result.stderr) == (0, "")


GRACE = {"TUNESHIP_DRAIN_SECONDS": 0.3, "TUNESHIP_GRACE_SECONDS": 0.7}
PATIENCE_SECONDS = 20
"""Less than drain and grace take by default; without the last resort none of these servers would ever end."""

UNFINISHED = post("/predict", "Content-Type: application/json", length=99) + b"{"
ASKED = b'{"inputs": "a"}'
WAITING = post("/predict", "Content-Type: application/json", length=len(ASKED)) + ASKED


@pytest.mark.slow
def test_nothing_holds_a_stop(tiny_bundle: Path, tmp_path: Path) -> None:
    """An engine that never returns, unfinished requests, unread answers and silent gRPC end with drain and grace."""
    port, grpc_port, gate = free_port(), free_port(), tmp_path / "gate"
    serve = ("-m", "tests.serving.http.middleware.pausable_server", gate, "serve", tiny_bundle)
    command = python(*serve, "--port", port, "--grpc-port", grpc_port)
    with running(command, port, tmp_path / "log", **GRACE) as server, ExitStack() as stack:
        gate.touch()
        for sent in (WAITING, UNFINISHED, b"GET /li", b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 3000):
            stack.enter_context(connect(server)).sendall(sent)
        stack.enter_context(socket.create_connection(("127.0.0.1", grpc_port)))
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE_SECONDS) == 1
        assert "Traceback" not in server.log.read_text()
        assert "ending now, while MainThread" in server.log.read_text()


@pytest.mark.slow
def test_bentoml_does_not_wait_for_its_worker(tiny_bundle: Path, tmp_path: Path) -> None:
    """`bentoml serve` kills a worker that not even hears of its end."""
    port = free_port()
    command = python("-m", "bentoml", "serve", "serving.service:Tuneship", "--host", "127.0.0.1", "--port", port)
    variables = {"TUNESHIP_BUNDLE": tiny_bundle, "BENTOML_HOME": tmp_path / "home", "BENTOML_DO_NOT_TRACK": "True"}
    with running(command, port, tmp_path / "log", **variables, **GRACE) as server:
        worker = subprocess.check_output(["pgrep", "-P", str(server.process.pid), "-f", "worker"], text=True).split()[0]
        subprocess.run(["kill", "-STOP", worker], check=True)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE_SECONDS)
        assert subprocess.run(["kill", "-0", worker], check=False, capture_output=True).returncode == 1
