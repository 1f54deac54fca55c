"""Real containers for the tests: is there an engine, build the image once, run it and wait for it."""

from __future__ import annotations

import functools
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.image.build import DOCKERFILE, create_labels, lay_context
from deploy.measurement.process import free_port

IMAGE = "tuneship-test:latest"


@functools.cache
def why_no_engine() -> str:
    """Empty where a Docker engine answers and its base image can be had; else the reason to skip."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    answer = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=60, check=False)
    return "" if answer.returncode == 0 else "no Docker engine answers"


def docker(*arguments: str, timeout: float = 120) -> str:
    """Run a docker command; its output, or an AssertionError with what it said."""
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    return result.stdout.strip()


def build_image(bundle: Path, folder: Path, *options: str) -> str:
    """Build the image as `tuneship deploy image` does, with this bundle inside; gives its id.

    Its name is the newest one's, of whatever test run of this machine: another run's may take it away meanwhile.
    """
    context = folder / "context"
    lay_context(bundle, context)
    number = folder / "image-id"
    labels = [f"--label={name}={value}" for name, value in create_labels(bundle).items()]
    places = ("--network", "host", "--tag", IMAGE, "--iidfile", str(number), "--file", str(context / DOCKERFILE))
    docker("build", *labels, *places, *options, str(context), timeout=1500)
    return number.read_text().strip()


@contextmanager
def container(*options: str, image: str, command: tuple[str, ...] = ()) -> Iterator[str]:
    """A running container's name; it is stopped and removed at the end."""
    name = f"tuneship-test-{free_port()}"
    docker("run", "--detach", "--rm", "--network", "host", "--name", name, *options, image, *command)
    try:
        yield name
    finally:
        subprocess.run(["docker", "stop", "--time", "10", name], capture_output=True, timeout=60, check=False)


def wait_until_ready(port: int, name: str, seconds: float = 90) -> None:
    """Return when /readyz answers 200; an AssertionError with the container's log when it does not in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    log = subprocess.run(["docker", "logs", name], capture_output=True, text=True, check=False)
    raise AssertionError(f"not ready after {seconds} s:\n{log.stdout}{log.stderr}")
