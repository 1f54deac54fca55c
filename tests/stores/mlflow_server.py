"""A real MLflow server in an environment of its own: its pins clash with ours. ``make mlflow`` installs it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.measurement.process import free_port
from tests.paths import ROOT

COMMAND = ROOT / ".venv-mlflow" / "bin" / "mlflow"
MISSING = "" if COMMAND.is_file() else "there is no MLflow server: make mlflow"


@contextmanager
def running_mlflow(folder: Path) -> Iterator[str]:
    """Its address; what it keeps is in ``folder``."""
    port = free_port()
    store = ("--backend-store-uri", f"sqlite:///{folder}/db.sqlite", "--artifacts-destination", str(folder / "files"))
    with listening([str(COMMAND), "server", "--port", str(port), "--workers", "1", *store], port, "/health", folder):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def listening(command: list[str], port: int, path: str, folder: Path) -> Iterator[None]:
    """A process and its children, until the end of the block."""
    search_path = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"  # where it looks for uvicorn
    told = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "PYTHONPATH": str(ROOT), "PATH": search_path}
    environment = {**os.environ, **told}
    with (folder / f"log-{port}").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment, cwd=folder)
    try:
        _wait(f"http://127.0.0.1:{port}{path}", process, folder / f"log-{port}")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"ended with {process.poll()}: {log.read_text()}")
