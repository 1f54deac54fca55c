"""The Bento, with the bundle inside or with a reference to BentoML's store, serves its answers, also in a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.measurement.process import free_port
from serving.bundle.bundle import Bundle
from serving.inference.predictor import Predictor
from tests.containers import container, wait_until_ready, why_no_engine
from tests.paths import ROOT
from tests.serving.processes import ServerProcess, python, run_python, running

TEXTS = ["where is my parcel?", "refund order 17"]


IN_PYTHON = "deploy/bentoml/bentofile.yaml"
MODEL = "tiny:1.0"
TAG = "tuneship-service"


def bentoml(
    *arguments: object, cwd: Path, home: Path, timeout: float = 240, **variables: object
) -> subprocess.CompletedProcess[str]:
    """Run the bentoml command with its own BENTOML_HOME."""
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "DOCKER_BUILDKIT": "0"}
    environment.pop("TUNESHIP_BUNDLE", None)
    environment |= {name: str(value) for name, value in variables.items()}
    command = [str(Path(sys.executable).parent / "bentoml"), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


def checkout(folder: Path) -> Path:
    """What `bentoml build` reads, without a bundle."""
    shutil.copytree(ROOT / "serving", folder / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "deploy" / "bentoml").mkdir(parents=True)
    for name in ("bentofile.yaml", "requirements.txt", IN_PYTHON, "deploy/bentoml/with_image.py"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def home(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BENTOML_HOME that holds the bundle as a model, and three Bentos.

    ``test`` and ``python`` hold the bundle, the latter with its image defined in Python; ``model`` refers to the model.
    """
    folder, home = checkout(tmp_path_factory.mktemp("bento")), tmp_path_factory.mktemp("home")
    push = [sys.executable, "-m", "tuneship", "push", str(tiny_bundle), f"bento:{MODEL}"]
    subprocess.run(push, cwd=ROOT, env={**os.environ, "BENTOML_HOME": str(home)}, capture_output=True, check=True)
    built = [bentoml("build", "-f", IN_PYTHON, "--version", "model", cwd=folder, home=home, TUNESHIP_BENTO_MODEL=MODEL)]
    shutil.copytree(tiny_bundle, folder / "bundle")
    built.append(bentoml("build", "--version", "test", cwd=folder, home=home))
    built.append(bentoml("build", "-f", IN_PYTHON, "--version", "python", cwd=folder, home=home))
    for result in built:
        assert result.returncode == 0, result.stdout + result.stderr
    return home


def bento(home: Path, version: str) -> Path:
    """Its folder."""
    return home / "bentos" / TAG / version


def manifest(home: Path, version: str) -> Any:
    """What bento.yaml says."""
    return yaml.safe_load((bento(home, version) / "bento.yaml").read_text())


def ask(port: int) -> object:
    """The answers to TEXTS."""
    body = json.dumps({"inputs": TEXTS}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


@pytest.mark.slow
def test_the_bundle_travels_inside(home: Path, tiny_bundle: Path) -> None:
    """The Bento holds the bundle and the serving code, but no training code."""
    source = home / "bentos" / "tuneship-service" / "test" / "src"
    assert Bundle.open(source / "bundle").digest == Bundle.open(tiny_bundle).digest
    assert (source / "serving" / "http" / "page" / "page.html").is_file()
    assert not (source / "trainer").exists()


@pytest.mark.slow
def test_both_images_are_equal(home: Path) -> None:
    """Whether bentofile.yaml or Python defines the image, its contents are the same, and it reports to nobody."""
    images = [manifest(home, version)["image"] for version in ("test", "python")]
    assert images[0] == images[1]
    for part in ("env/docker/Dockerfile", "env/python/requirements.txt"):
        assert (bento(home, "test") / part).read_text() == (bento(home, "python") / part).read_text()
    for version in ("test", "python", "model"):
        dockerfile = (bento(home, version) / "env" / "docker" / "Dockerfile").read_text()
        assert re.search(r"ARG ORT_DISABLE_TELEMETRY=1\nENV ORT_DISABLE_TELEMETRY=", dockerfile)
        assert re.search(r"ARG BENTOML_DO_NOT_TRACK=True\nENV BENTOML_DO_NOT_TRACK=", dockerfile)


@pytest.mark.slow
def test_a_reference(home: Path) -> None:
    """The Bento of a model holds its tag, which `bentoml push` and BentoCloud follow, and none of its files."""
    (service,) = manifest(home, "model")["services"]
    assert [model["tag"] for model in service["models"]] == [MODEL]
    assert not (bento(home, "model") / "src" / "bundle").exists()
    assert [model["tag"] for model in manifest(home, "test")["services"][0]["models"]] == []


@pytest.mark.slow
@pytest.mark.parametrize("version", ["python", "model"])
def test_it_serves_the_bundles_answers(home: Path, tiny_bundle: Path, tmp_path: Path, version: str) -> None:
    """`bentoml serve TAG` uses the Bento's code and bundle, not the checkout's."""
    with serving(home, version, tmp_path) as process:
        assert ask(process.port) == Predictor.open(tiny_bundle).predict(TEXTS)


def serving(home: Path, version: str, folder: Path, **variables: object) -> AbstractContextManager[ServerProcess]:
    """`bentoml serve` of a Bento."""
    port = free_port()
    command = python("-m", "bentoml", "serve", f"{TAG}:{version}", "--port", port)
    return running(command, port, folder / "log", BENTOML_HOME=home, BENTOML_DO_NOT_TRACK="True", **variables)


@pytest.mark.slow
def test_an_altered_model(home: Path, tmp_path: Path) -> None:
    """A model of the store is verified as any bundle is, and named where it is not there."""
    other = Path(shutil.copytree(home, tmp_path / "home", symlinks=True))
    (readme,) = (other / "models").rglob("README.md")
    readme.chmod(0o644)
    readme.write_text("# Another\n")
    script = "import serving.service; serving.service.bundles[0].open()"
    result = run_python(script, BENTOML_HOME=other, TUNESHIP_BENTO_MODEL=MODEL)
    assert result.returncode == 1
    assert "README.md was altered" in result.stderr
    result = run_python(script, BENTOML_HOME=other, TUNESHIP_BENTO_MODEL="tiny:2.0")
    assert result.returncode == 1
    assert "BentoML's store has no model tiny:2.0" in result.stderr
    assert "tuneship push BUNDLE bento:tiny:2.0" in result.stderr
    result = run_python(script, BENTOML_HOME=other, TUNESHIP_BENTO_MODEL=MODEL, TUNESHIP_BUNDLE=readme.parent)
    assert result.returncode == 1
    assert "set one of them" in result.stderr


@pytest.mark.slow
def test_it_is_not_built_without_a_bundle(tmp_path: Path) -> None:
    """`bentoml build` without a bundle fails with a message that says where to put one."""
    result = bentoml("build", cwd=checkout(tmp_path), home=tmp_path / "home")
    assert result.returncode != 0
    assert "there is no bundle at" in result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine() or "engine")
@pytest.mark.parametrize("version", ["test", "model"])
def test_it_can_be_containerized(home: Path, tiny_bundle: Path, tmp_path: Path, version: str) -> None:
    """`bentoml containerize` makes an image that gives the predictor's answers, its model within."""
    image = f"tuneship-bento-{version}:latest"
    arguments = ("--backend", "docker", "--opt", "network=host", "--image-tag", image)
    result = bentoml("containerize", f"{TAG}:{version}", *arguments, cwd=tmp_path, home=home, timeout=900)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    port = free_port()
    command = ("serve", "--port", str(port))
    with container("--env", f"PORT={port}", image=image, command=command) as name:
        wait_until_ready(port, name, seconds=60)
        assert ask(port) == Predictor.open(tiny_bundle).predict(TEXTS)
