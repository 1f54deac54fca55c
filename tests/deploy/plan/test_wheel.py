"""What `pip install` brings: plans can be made without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.plan.targets import TARGETS
from serving.bundle.bundle import Bundle
from tests.deploy.measured import measurement_of
from tests.deploy.plan.conftest import IMAGE
from tests.paths import ROOT


@pytest.mark.slow
def test_every_static_file(installed: Path) -> None:
    """The wheel has each target's files as git has them, and the prices."""
    listing = subprocess.run(["git", "ls-files", "deploy"], cwd=ROOT, capture_output=True, text=True, check=True)
    folders = {f"deploy/{target.folder}/" for target in TARGETS.values()}
    files = [name for name in listing.stdout.splitlines() if any(name.startswith(folder) for folder in folders)]
    assert len(files) > 10
    for name in (*files, "deploy/prices.json"):
        assert (installed / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.slow
def test_a_plan_without_a_checkout(installed: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """The installed command writes a plan."""
    measured = tmp_path / "measurement.json"
    measured.write_text(measurement_of(Bundle.open(tiny_bundle).digest).to_json())
    command = ["deploy", "plan", "kubernetes", str(tiny_bundle), "--image", IMAGE, "--measurement", str(measured)]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    script = [sys.executable, "-c", "import tuneship; tuneship.main()", *command, "--output", "plan"]
    result = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "plan" / "overlays" / "plan" / "kustomization.yaml").is_file()
