"""A project that is made and built from the wheel, without a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from deploy.measurement.process import free_port
from templates.new import create_project
from tests.containers import container, docker, wait_until_ready, why_no_engine
from tests.paths import ROOT
from tests.serving.processes import get, running
from tests.test_cli import tuneship_here

IMAGE = "tuneship-template-test:latest"


def run(command: Path, folder: Path, *arguments: object) -> str:
    """The installed command, in a folder outside the checkout; its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(command), *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_from_nothing_to_a_server(installed_command: Path, wheel: Path, tiny_backbone: Path, tmp_path: Path) -> None:
    """The installed command makes the checkout's project with its own wheel, and takes it to a server."""
    run(installed_command, tmp_path, "new", "support")
    project, home = tmp_path / "support", ROOT / "templates" / "text-classification"
    made = {path.relative_to(project) for path in project.rglob("*")}
    assert made == {path.relative_to(home) for path in home.rglob("*")} | {Path("wheels") / wheel.name}
    recipe = yaml.safe_load((project / "recipe.yaml").read_text())
    recipe["model"], recipe["training"]["num_train_epochs"] = str(tiny_backbone), 1
    (project / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run(installed_command, project, "train", "recipe.yaml", "--output", "runs/model")
    assert (project / "runs" / "model" / "report.md").is_file()
    run(installed_command, project, "export", "runs/model", "--output", "bundles/model", "--variant", "fp32")
    run(installed_command, project, "verify", "bundles/model")
    port = free_port()
    command = [str(installed_command), "serve", str(project / "bundles" / "model"), "--port", str(port)]
    with running(command, port, tmp_path / "log", PYTHONPATH="") as server:
        assert get(f"{server.url}/readyz")[0] == 200
        assert "<html" in get(server.url)[1]


@pytest.mark.slow
def test_the_wheel_of_an_installed_package(installed_command: Path, wheel: Path, tmp_path: Path) -> None:
    """It has the files of the one that was installed, and pip installs it."""
    run(installed_command, tmp_path, "new", "support")
    written = tmp_path / "support" / "wheels" / wheel.name
    contents = [
        {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}
        for archive in map(zipfile.ZipFile, (wheel, written))
    ]
    assert contents[0] == contents[1]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "site")]
    subprocess.run([*pip, str(written)], check=True, timeout=300)
    assert (tmp_path / "site" / "tuneship.py").read_bytes() == (ROOT / "tuneship.py").read_bytes()


def test_a_checkout_has_no_wheel(tmp_path: Path) -> None:
    """The project is made all the same, and the command says how its wheel is made."""
    result = tuneship_here("new", tmp_path / "support")
    assert result.returncode == 0
    assert "pip wheel" in result.stderr
    assert not list(tmp_path.rglob("*.whl"))


@pytest.mark.docker
@pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine() or "engine")
def test_the_image_serves(wheel: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """The Dockerfile builds from wheel and bundle alone; the server starts with a read-only root, as its own user."""
    project = tmp_path / "support"
    create_project(project, "text-classification")
    shutil.copy(wheel, project / "wheels")
    shutil.copytree(tiny_bundle, project / "bundles" / "model")
    docker("build", "--network", "host", "--tag", IMAGE, str(project), timeout=1500)
    port = free_port()
    with container("--read-only", "--env", f"PORT={port}", image=IMAGE) as name:
        wait_until_ready(port, name)
        assert docker("exec", name, "id", "-u") == "10001"
        assert "sha256" in docker("exec", name, "python", "/app/entrypoint.py", "verify")
