"""Debian's docker-registry on this machine."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.measurement.process import free_port

LOGIN = ("tuner", "pa55word")
HTPASSWD = "tuner:$2b$04$bfZvkMXKrs2X0QCiXCCpm.DIFzfsgf371SQAjBVtGcK089rPWvY6e\n"


@contextmanager
def running_registry(folder: Path, htpasswd: Path | None = None) -> Iterator[str]:
    """An empty one, which asks for a login of a file, if any; skips where it is not installed."""
    command = shutil.which("docker-registry")
    if command is None:
        pytest.skip("there is no docker-registry: apt-get install docker-registry")
    port = free_port()
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
        + (f"auth: {{htpasswd: {{realm: here, path: {htpasswd}}}}}\n" if htpasswd else "")
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([command, "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        _wait(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return  # it asks who is there
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the registry does not answer")
