"""The files of a new project that GitHub, pre-commit and Docker read, checked by tools made for them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from templates.new import create_project
from tests.paths import ROOT

TOOLS = ROOT / ".venv-validators" / "ci" / "bin"
needs_tools = pytest.mark.skipif(not (TOOLS / "zizmor").exists(), reason="there are no validators: make validators")
WORKFLOWS = ("gates.yaml", "pull-request.yaml", "ship.yaml")
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project in a git repository."""
    folder = tmp_path / "support"
    create_project(folder, "text-classification")
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def check(tool: str, *arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a validator says of a project."""
    variables = {**os.environ, **environment}
    variables.pop("PYTHONPATH", None)
    command = [str(TOOLS / tool), *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@needs_tools
@pytest.mark.slow
def test_workflows_are_of_githubs_schema(project: Path) -> None:
    """SchemaStore's schemas take the workflows and Dependabot's file, and refuse a job that has a wrong key."""
    folder, schema = ".github/workflows", ("--builtin-schema", "vendor.github-workflows")
    files = [f"{folder}/{name}" for name in WORKFLOWS]
    good = check("check-jsonschema", *schema, *files, folder=project)
    assert good.returncode == 0, good.stdout
    bots = check("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml", folder=project)
    assert bots.returncode == 0, bots.stdout
    path = project / files[0]
    path.write_text(path.read_text().replace("timeout-minutes: 60", "timeout-minute: 60"))
    assert check("check-jsonschema", *schema, files[0], folder=project).returncode == 1


@needs_tools
@pytest.mark.slow
def test_zizmor_finds_nothing(project: Path) -> None:
    """No finding of the linter of workflows' security; a script made of a pull request's title is one."""
    clean = check("zizmor", "--offline", "--no-progress", ".", folder=project)
    assert clean.returncode == 0, clean.stdout
    assert "No findings to report" in clean.stdout
    path = project / ".github" / "workflows" / "gates.yaml"
    path.write_text(path.read_text() + '      - run: echo "${{ github.event.pull_request.title }}"\n')
    found = check("zizmor", "--offline", "--no-progress", ".", folder=project)
    assert found.returncode != 0
    assert "template-injection" in found.stdout


@needs_tools
@pytest.mark.slow
def test_the_hook_runs(project: Path, tmp_path: Path) -> None:
    """pre-commit takes its file, and holds a commit whose recipe has an unknown key."""
    assert check("pre-commit", "validate-config", folder=project).returncode == 0
    command = tmp_path / "bin" / "tuneship"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tuneship "$@"\n')
    command.chmod(0o755)
    recipe = project / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("learning_rate", "learning_rat"))
    where = {"PATH": f"{command.parent}:{os.environ['PATH']}", "PRE_COMMIT_HOME": str(tmp_path / "cache")}
    held = check("pre-commit", "run", "--all-files", folder=project, **where)
    assert held.returncode == 1
    assert "learning_rat" in held.stdout
    assert "Failed" in held.stdout


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned(project: Path, name: str) -> None:
    """By commit, or of the project itself."""
    jobs = yaml.safe_load((project / ".github" / "workflows" / name).read_text())["jobs"].values()
    used = [each["uses"] for job in jobs for each in [job, *job.get("steps", [])] if "uses" in each]
    assert used
    assert [each for each in used if not (PINNED.fullmatch(each) or each == "./.github/workflows/gates.yaml")] == []


def test_permissions_are_least(project: Path) -> None:
    """A workflow has none; only the jobs of main that sign and deploy get tokens, and none may write code."""
    granted = {}
    for name in WORKFLOWS:
        workflow = yaml.safe_load((project / ".github" / "workflows" / name).read_text())
        assert workflow["permissions"] == {}
        granted |= {(name, job): each["permissions"] for job, each in workflow["jobs"].items()}
    tokens = {place for place, each in granted.items() if each.get("id-token") == "write"}
    assert tokens == {("ship.yaml", "publish"), ("ship.yaml", "deploy")}
    assert all(each["contents"] == "read" for each in granted.values())
    assert ship_environment(project) == "production"


def ship_environment(project: Path) -> str:
    """Of the job that deploys."""
    ship = yaml.safe_load((project / ".github" / "workflows" / "ship.yaml").read_text())
    return str(ship["jobs"]["deploy"]["environment"])


def test_bash_takes_every_script(project: Path) -> None:
    """No script of a step has a wrong syntax, or a step without bash's pipefail."""
    assert shutil.which("bash")
    for name in ("gates.yaml", "ship.yaml"):
        workflow = yaml.safe_load((project / ".github" / "workflows" / name).read_text())
        assert workflow["defaults"]["run"]["shell"] == "bash"
        steps = [step for job in workflow["jobs"].values() for step in job.get("steps", []) if "run" in step]
        for step in steps:
            subprocess.run(["bash", "-n", "-c", step["run"]], check=True)
