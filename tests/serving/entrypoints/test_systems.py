"""What the server does on other systems than Linux, played here: macOS serves, Windows is refused."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from tests.serving.processes import python, run_python, running

ON_MACOS = """
import os, platform, socket, sys
del os.sched_getaffinity, os.sched_setaffinity, os.pidfd_open, socket.TCP_INFO
platform.system = lambda: "Darwin"
shut = socket.socket.shutdown
def shutdown(self, how):
    if self.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError(57, "Socket is not connected")
    shut(self, how)
socket.socket.shutdown = shutdown
import tuneship
tuneship.main()
"""


@pytest.mark.slow
def test_a_server_without_linux_calls(tiny_bundle: Path, tmp_path: Path) -> None:
    """Where they are missing, as in Python on macOS, the server starts, answers and stops by itself."""
    port = free_port()
    command = python("-c", ON_MACOS, "serve", tiny_bundle, "--port", port)
    with running(command, port, tmp_path / "log") as server:
        body = json.dumps({"inputs": "where is my parcel?"}).encode()
        request = urllib.request.Request(f"{server.url}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            assert "label" in json.loads(response.read())[0][0]
        assert server.stop() == 0, server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_windows_is_told() -> None:
    """One line says what Tuneship runs on and what to do; nothing of it is imported."""
    result = run_python("import sys; sys.platform = 'win32'; import tuneship")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error  Tuneship needs Linux or macOS. On Windows")
    assert "WSL" in result.stderr
    assert len(result.stderr.splitlines()) == 1
