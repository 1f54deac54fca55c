"""A project that is made and built from the wheel, without a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.measurement.process import free_port
from templates.new import create_project
from tests.containers import container, docker, wait_until_ready, why_no_engine
from tests.paths import ROOT

IMAGE = "tuneship-template-test:latest"


def run_installed(installed: Path, folder: Path, *arguments: object) -> str:
    """The command of the wheel, in a folder outside the checkout; its output."""
    script = f"import tuneship, serving; assert serving.__file__.startswith({str(installed)!r}); tuneship.main()"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_made_and_trained_without_a_checkout(installed: Path, tiny_backbone: Path, tmp_path: Path) -> None:
    """The wheel's command makes the same project as the checkout's, and trains it."""
    run_installed(installed, tmp_path, "new", "support")
    made = sorted(path.relative_to(tmp_path / "support") for path in (tmp_path / "support").rglob("*"))
    home = ROOT / "templates" / "text-classification"
    assert made == sorted(path.relative_to(home) for path in home.rglob("*"))
    recipe = yaml.safe_load((tmp_path / "support" / "recipe.yaml").read_text())
    recipe["model"], recipe["training"]["num_train_epochs"] = str(tiny_backbone), 1
    (tmp_path / "support" / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run_installed(installed, tmp_path / "support", "train", "recipe.yaml", "--output", "runs/model")
    assert (tmp_path / "support" / "runs" / "model" / "report.md").is_file()


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
