"""Real server processes for the tests: start one, wait until it is ready, stop it whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.measurement.process import free_port
from tests.paths import ROOT


@dataclass(frozen=True)
class ServerProcess:
    """A server that runs; ``log`` holds what it printed."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self, seconds: float = 120) -> None:
        """Return when /readyz answers 200; an AssertionError with the log where it does not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"not ready (exit status {self.process.poll()}):\n{self.log.read_text()}")

    def stop(self, seconds: float = 60) -> int:
        """Send SIGTERM and wait; gives the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def python(*arguments: object) -> list[str]:
    """A command of this environment's interpreter."""
    return [sys.executable, *map(str, arguments)]


def environment(**variables: object) -> dict[str, str]:
    """This process' environment without what would tell a server where to listen, and with ``variables``.

    Nobody has to hear of a test's server that it ends.
    """
    ours = {name: value for name, value in os.environ.items() if name not in ("PORT", "TUNESHIP_BUNDLE")}
    quick = {"OMP_NUM_THREADS": "1", "TUNESHIP_THREADS": "1", "TUNESHIP_DRAIN_SECONDS": "0"}
    return {**ours, **quick, **{k: str(v) for k, v in variables.items()}}


@contextmanager
def running(
    command: list[str], port: int, log: Path, seconds: float = 120, **variables: object
) -> Iterator[ServerProcess]:
    """A server process that is ready in time; at the end it and its children are gone."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=stream, stderr=stream, start_new_session=True, env=environment(**variables)
        )
    server = ServerProcess(process, port, log)
    try:
        server.wait_until_ready(seconds)
        yield server
    finally:
        _end(process)


def serving(*bundles: Path | str, folder: Path, **variables: object) -> AbstractContextManager[ServerProcess]:
    """A real server over bundles, its log in a folder."""
    port = free_port()
    return running(python("-m", "tuneship", "serve", *bundles, "--port", port), port, folder / "log", **variables)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Politely first; then the whole process group, of which this process started the leader."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds, so many seconds at most."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def get(url: str) -> tuple[int, str]:
    """Status and body of a GET, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def run_python(script: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter's run of a script in the project, with these variables."""
    return subprocess.run(
        python("-c", script),
        cwd=ROOT, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
