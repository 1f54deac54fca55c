"""What a bundle or a recipe needs, and the command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onboarding.doctor.finding import Finding
from onboarding.doctor.subject import check_subject
from serving.errors import InputError
from tests.paths import ROOT
from tests.tiny import write_recipe
from tuneship import app


def about(path: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_subject(path)}


def test_a_recipe(tiny_backbone: Path, tmp_path: Path) -> None:
    """Its files and its base model are here; what it needs besides is told."""
    path = write_recipe(tmp_path, tiny_backbone, training={"report_to": ["wandb"]})
    found = about(path)
    assert found["data"].state == found["base model"].state == "ok"
    assert found["training.report_to: wandb"].state == "error"
    assert found["training.report_to: wandb"].remedy == "pip install wandb"
    (tmp_path / "toy.csv").unlink()
    assert about(path)["data"].state == "error"


def test_a_model_of_the_hub(tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for in the cache, and otherwise has to be fetched."""
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    path = write_recipe(tmp_path, tiny_backbone)
    path.write_text(path.read_text().replace(str(tiny_backbone), "team/model"))
    assert about(path)["base model"].state == "warning"
    cached = tmp_path / "home" / "hub" / "models--team--model" / "snapshots" / "abc"
    cached.mkdir(parents=True)
    (cached / "config.json").write_text("{}")
    assert about(path)["base model"].found == "team/model, in the hub cache"


def test_a_broken_recipe(tmp_path: Path) -> None:
    """Its mistakes are told as by a training."""
    (tmp_path / "recipe.yaml").write_text("task: sorting\n")
    found = about(tmp_path / "recipe.yaml")["recipe"]
    assert found.state == "error"
    assert 'task: "sorting" is not accepted' in found.found


def test_neither(tmp_path: Path) -> None:
    """Anything else is refused, with what is accepted."""
    for path in (tmp_path, tmp_path / "no", ROOT / "README.md"):
        with pytest.raises(InputError, match="give a bundle's folder or a recipe"):
            about(path)


@pytest.mark.slow
def test_a_bundle(tiny_bundle: Path, tiny_dynamic_bundle: Path, tmp_path: Path) -> None:
    """It is whole, and says which variant serves here; an altered one is no bundle any more."""
    found = about(tiny_bundle)
    assert found["bundle"].state == "ok"
    assert found["variants"].found == "fp32 serves here"
    copy = Path(shutil.copytree(tiny_dynamic_bundle, tmp_path / "copy"))
    assert about(copy)["variants"].found.startswith("int8-dynamic serves here")
    (copy / "README.md").write_text("altered")
    assert about(copy)["bundle"].state == "error"


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    """It takes less than three seconds of CPU, imports no torch, and exits with 1 on errors."""
    script = (
        "import sys, tuneship; sys.argv[1:] = ['doctor', '--json']\n"
        "try:\n    tuneship.main()\nfinally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    before = os.times()
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 3
    assert result.stderr.strip().endswith("False")
    findings = json.loads(result.stdout)["findings"]
    assert result.returncode == int(any(each["state"] == "error" for each in findings))
    assert {"Python", "processor", "memory", "clock", "hub"} <= {each["name"] for each in findings}
    (tmp_path / "recipe.yaml").write_text("task: sorting\n")
    told = CliRunner().invoke(app, ["doctor", str(tmp_path / "recipe.yaml")])
    assert told.exit_code == 1
    assert max(map(len, told.output.splitlines())) <= 90
