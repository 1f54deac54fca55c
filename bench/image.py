"""The image's size without its base, and the time until a container is ready."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, median_of, skipped
from deploy.measurement.process import MeasurementError, free_port, spawned, wait_ready

IMAGE = "tuneship:latest"
BASE = "python:3.11-slim-bookworm"
DOCKER_SECONDS = 30
SIZE, READY = "image without its base", "docker run: ready in"


def measure_image(repeats: int, logs: Path) -> list[Figure]:
    if reason := _missing():
        return [skipped(SIZE, "MB", reason), skipped(READY, "s", reason)]
    whole, base = _megabytes(IMAGE), _megabytes(BASE)
    note = f"{IMAGE} {whole:.1f} MB, {BASE} {base:.1f} MB, as docker image inspect says"
    seconds = [_seconds_to_ready(logs / "docker-run.log") for _ in range(repeats)]
    return [Figure(SIZE, whole - base, "MB", note=note), median_of(READY, seconds, "s")]


def _missing() -> str:
    """Empty if nothing is missing."""
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
        # Some engines have no bridge network.
        run = ["docker", "run", "--rm", "--name", name, "--network", "host", "--env", f"PORT={port}", IMAGE]
        with spawned("docker run", run, log=log) as child:
            return wait_ready(child, port)


@contextlib.contextmanager
def _container() -> Iterator[str]:
    """A container's name; it is removed even if docker fails."""
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
