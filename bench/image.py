"""The container image: what it adds to its base, and how soon a container is ready."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.errors import MeasurementError
from bench.figures import Asked, Figure, median_of, skipped
from bench.process import free_port, spawned, wait_ready

IMAGE = "tuneship:latest"
BASE = "python:3.11-slim-bookworm"
ASKED_SIZE = Asked("≤", 350.0)
DOCKER_SECONDS = 30
SIZE, READY = "image without its base", "docker run: ready in"


def measure_image(repeats: int, logs: Path) -> list[Figure]:
    """Megabytes that the image adds to its base and seconds to ready, or why they cannot be measured here."""
    if reason := _lack():
        return [skipped(SIZE, "MB", ASKED_SIZE, reason), skipped(READY, "s", None, reason)]
    whole, base = _megabytes(IMAGE), _megabytes(BASE)
    note = f"{IMAGE} {whole:.1f} MB, {BASE} {base:.1f} MB, as docker image inspect says"
    seconds = [_seconds_to_ready(logs / "docker-run.log") for _ in range(repeats)]
    return [Figure(SIZE, whole - base, "MB", ASKED_SIZE, note=note), median_of(READY, seconds, "s")]


def _lack() -> str:
    """Why nothing can be measured; empty where everything is there."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    if _docker("info").returncode != 0:
        return "no Docker engine answers"
    for image in (IMAGE, BASE):
        if _docker("image", "inspect", image).returncode != 0:
            return f"the engine has no image {image} (make image BUNDLE=…)"
    return ""


def _megabytes(image: str) -> float:
    return int(_docker("image", "inspect", "--format", "{{.Size}}", image).stdout) / 1e6


def _seconds_to_ready(log: Path) -> float:
    port = free_port()
    with _container() as name:
        # Host networking needs no bridge, which not every engine has; the image listens on $PORT.
        run = ["docker", "run", "--rm", "--name", name, "--network", "host", "--env", f"PORT={port}", IMAGE]
        with spawned("docker run", run, log=log) as child:
            return wait_ready(child, port)


@contextlib.contextmanager
def _container() -> Iterator[str]:
    """A name for one container, which is removed whatever becomes of the docker command that runs it."""
    name = f"tuneship-bench-{os.getpid()}"
    try:
        yield name
    finally:
        _docker("rm", "--force", name)


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(f"docker {' '.join(words)} did not answer within {DOCKER_SECONDS} s") from error
