"""The Bento, built from bentofile.yaml with the bundle inside, serves the bundle's answers, also in a container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from bench.process import free_port
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from tests.containers import container, wait_until_ready, why_no_engine
from tests.paths import ROOT
from tests.serving.processes import running

TEXTS = ["where is my parcel?", "refund order 17"]


def bentoml(*arguments: object, cwd: Path, home: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the bentoml command with its own BENTOML_HOME."""
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "DOCKER_BUILDKIT": "0"}
    environment.pop("TUNESHIP_BUNDLE", None)
    command = [str(Path(sys.executable).parent / "bentoml"), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


def checkout(folder: Path) -> Path:
    """What `bentoml build` reads, without a bundle."""
    shutil.copytree(ROOT / "serving", folder / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("bentofile.yaml", "requirements.txt"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def home(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BENTOML_HOME that holds the Bento tuneship:test with the tiny bundle."""
    folder, home = checkout(tmp_path_factory.mktemp("bento")), tmp_path_factory.mktemp("home")
    shutil.copytree(tiny_bundle, folder / "bundle")
    result = bentoml("build", "--version", "test", cwd=folder, home=home)
    assert result.returncode == 0, result.stdout + result.stderr
    return home


def ask(port: int) -> object:
    """The answers to TEXTS."""
    body = json.dumps({"inputs": TEXTS}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_the_bundle_travels_inside(home: Path, tiny_bundle: Path) -> None:
    """The Bento holds the bundle and the serving code, but no training code."""
    source = home / "bentos" / "tuneship-service" / "test" / "src"
    assert Bundle.open(source / "bundle").digest == Bundle.open(tiny_bundle).digest
    assert (source / "serving" / "http" / "page" / "page.html").is_file()
    assert not (source / "trainer").exists()


@pytest.mark.slow
def test_it_serves_the_bundles_answers(home: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """`bentoml serve TAG` uses the Bento's code and bundle, not the checkout's."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "bentoml"), "serve", "tuneship-service:test", "--port", str(port)]
    with running(command, port, tmp_path / "log", BENTOML_HOME=home, BENTOML_DO_NOT_TRACK="True"):
        assert ask(port) == Predictor.open(tiny_bundle).predict(TEXTS)


@pytest.mark.slow
def test_it_is_not_built_without_a_bundle(tmp_path: Path) -> None:
    """`bentoml build` without a bundle fails with a message that says where to put one."""
    result = bentoml("build", cwd=checkout(tmp_path), home=tmp_path / "home")
    assert result.returncode != 0
    assert "there is no bundle at" in result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine() or "engine")
def test_it_can_be_containerized(home: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """`bentoml containerize` makes an image that gives the predictor's answers."""
    arguments = ("--backend", "docker", "--opt", "network=host", "--image-tag", "tuneship-bento-test:latest")
    result = bentoml("containerize", "tuneship-service:test", *arguments, cwd=tmp_path, home=home, timeout=900)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    port = free_port()
    command = ("serve", "--port", str(port))
    with container("--env", f"PORT={port}", image="tuneship-bento-test:latest", command=command) as name:
        wait_until_ready(port, name, seconds=60)
        assert ask(port) == Predictor.open(tiny_bundle).predict(TEXTS)
