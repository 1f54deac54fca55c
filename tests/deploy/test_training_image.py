"""The image that trains, built and run by Docker as the Kubernetes job runs it: no rights, a root that is read only."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests import tiny
from tests.containers import container, docker, why_no_engine
from tests.paths import ROOT

PIP_ARGS = "TUNESHIP_TEST_PIP_ARGS"
"""Where torch's build for CPUs is, for a machine that does not reach PyTorch's index."""

NO_RIGHTS = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")
SOURCES = ("batch", "checks", "commands", "export", "inspection", "search", "serving", "stores", "trainer")


def why_no_image() -> str:
    """The reason to skip, or nothing."""
    if reason := why_no_engine():
        return reason
    try:
        if PIP_ARGS not in os.environ:
            urllib.request.urlopen("https://download.pytorch.org/whl/cpu/torch/", timeout=5).close()
    except OSError:
        return f"PyTorch's index cannot be reached, and {PIP_ARGS} is not set"
    return ""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Built once, from what .dockerignore lets through."""
    if reason := why_no_image():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("image")
    context = folder / "context"
    for name in (
        ".dockerignore",
        "pyproject.toml",
        "requirements-dev.txt",
        "tuneship.py",
        "deploy/training.Dockerfile",
    ):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, context / name)
    for name in SOURCES:
        shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--build-arg", f"PIP_ARGS={os.environ[PIP_ARGS]}"] if PIP_ARGS in os.environ else []
    number, file = folder / "image-id", context / "deploy" / "training.Dockerfile"
    options += ["--network", "host", "--file", str(file), "--iidfile", str(number)]
    docker("build", *options, str(context), timeout=3600)
    return number.read_text().strip()


@pytest.fixture
def options(tmp_path: Path) -> tuple[str, ...]:
    """A recipe with its data and base model to read, and folders to write: runs, and what stands for a bucket."""
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    tiny.make_backbone(recipe / "tiny-bert")
    path = tiny.write_recipe(recipe, Path("tiny-bert"), training={"num_train_epochs": 100})
    assert path.name == "recipe.yaml"
    (recipe / "tiny-bert" / "model.safetensors").chmod(0o644)  # transformers writes weights for their owner alone
    for name in ("runs", "bucket"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    volumes = [f"{recipe}:/recipe:ro", f"{tmp_path / 'runs'}:/runs", f"{tmp_path / 'bucket'}:/bucket"]
    return (*NO_RIGHTS, *(part for each in volumes for part in ("--volume", each)))


COMMAND = ("/recipe/recipe.yaml", "--output", "/runs/one", "--state-to", "file:///bucket/one")


@pytest.mark.docker
@pytest.mark.slow
def test_a_container_that_is_stopped_goes_on_in_another(image: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """SIGTERM reaches the training, which brings its state away; a fresh container ends it, and the run is there."""
    with container(*options, image=image, command=COMMAND) as name:
        deadline = time.monotonic() + 300
        while not list((tmp_path / "bucket").glob("one/states/0*.json")):
            assert docker("ps", "--quiet", "--filter", f"name={name}"), "the container has ended"
            assert time.monotonic() < deadline, docker("logs", name)
            time.sleep(0.5)
        log = subprocess.Popen(["docker", "logs", "--follow", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        docker("stop", "--time", "60", name)
        told = log.communicate(timeout=60)[0].decode()
    assert "stopped by SIGTERM: the state of step" in told
    docker("run", "--rm", "--entrypoint", "rm", *options, image, "-r", "/runs/one")
    resumed = docker("run", "--rm", "--network", "host", *options, image, *COMMAND, timeout=600)
    assert "resuming from step" in resumed
    assert "kept at file:///bucket/one" in resumed
    assert (tmp_path / "bucket" / "one" / "files.json").is_file()
    assert docker("run", "--rm", "--entrypoint", "id", image, "-u") == "10001"


@pytest.mark.docker
@pytest.mark.slow
def test_it_has_the_launcher_of_several_processes(image: str) -> None:
    """What the Kubernetes job executes."""
    script = shlex.join(["torchrun", "--help"])
    assert "--rdzv-conf" in docker("run", "--rm", *NO_RIGHTS, "--entrypoint", "/bin/sh", image, "-ec", script)
