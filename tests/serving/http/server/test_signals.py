"""Shutdown under load: not ready first, then no new connections, and no accepted request is lost."""

from __future__ import annotations

import http.client
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from tests.serving.processes import ServerProcess, get, python, running, until

DRAIN_SECONDS = 1.5
BODY = json.dumps({"inputs": "where is my parcel?"}).encode()
JSON = {"Content-Type": "application/json"}


def serve(bundle: Path, port: int) -> list[str]:
    """`tuneship serve`."""
    return python("-m", "tuneship", "serve", bundle, "--port", port)


def bentoml_serve(_: Path, port: int) -> list[str]:
    """`bentoml serve`."""
    return python("-m", "bentoml", "serve", "serving.service:Tuneship", "--host", "127.0.0.1", "--port", port)


@dataclass
class Caller:
    """One client: asks on a connection that it keeps, makes another where it is told so, stops where /readyz says no.

    Attributes:
        statuses: of the answers.
        goodbyes: how many of them told that their connection ends.
    """

    server: ServerProcess
    statuses: list[int] = field(default_factory=list)
    goodbyes: int = 0

    def call(self) -> None:
        """Ask until the server is not ready any more, and twice after that: it still answers then."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        left = 2
        while left:
            left -= get(f"{self.server.url}/readyz")[0] != 200
            connection.request("POST", "/predict", BODY, JSON)
            answer = connection.getresponse()
            answer.read()
            self.statuses.append(answer.status)
            self.goodbyes += answer.headers.get("Connection") == "close"
        connection.close()


@pytest.mark.parametrize("command", [serve, pytest.param(bentoml_serve, marks=pytest.mark.slow)])
def test_loses_nothing(tiny_bundle: Path, tmp_path: Path, command) -> None:  # type: ignore[no-untyped-def]
    """On SIGTERM under load /readyz says 503, every request is answered, and the exit status is 0."""
    port = free_port()
    variables = {
        "TUNESHIP_DRAIN_SECONDS": DRAIN_SECONDS, "TUNESHIP_BUNDLE": tiny_bundle,
        "BENTOML_HOME": tmp_path / "home", "BENTOML_DO_NOT_TRACK": "True",
    }  # fmt: skip
    with running(command(tiny_bundle, port), port, tmp_path / "log", **variables) as server:
        callers = [Caller(server) for _ in range(6)]
        with ThreadPoolExecutor() as pool:
            calls = [pool.submit(each.call) for each in callers]
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            for each in calls:
                each.result(60)
        assert server.process.wait(60) == 0
        assert all(set(each.statuses) == {200} and each.goodbyes for each in callers)
        assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_draining(tiny_bundle: Path, tmp_path: Path) -> None:
    """While draining the server is alive, not ready and logs it; a second SIGTERM stops it at once."""
    port = free_port()
    with running(serve(tiny_bundle, port), port, tmp_path / "log", TUNESHIP_DRAIN_SECONDS=60) as server:
        server.process.send_signal(signal.SIGTERM)
        while get(f"{server.url}/readyz")[0] == 200:
            time.sleep(0.02)
        assert get(f"{server.url}/readyz")[0] == 503
        assert get(f"{server.url}/v2/health/ready")[0] == 503
        assert get(f"{server.url}/livez")[0] == 200
        assert server.process.poll() is None
        until(lambda: "not ready any more; stopping in 60 s" in server.log.read_text())
        assert server.stop() == 0


@pytest.mark.slow
def test_interrupt(tiny_bundle: Path, tmp_path: Path) -> None:
    """Control-C stops the server at once."""
    port = free_port()
    with running(serve(tiny_bundle, port), port, tmp_path / "log", TUNESHIP_DRAIN_SECONDS=60) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0
