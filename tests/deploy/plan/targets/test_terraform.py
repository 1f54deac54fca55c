"""Every target of Terraform: its values are variables of its folder, and nothing that has no default is missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.plan.folder import write_plan
from deploy.plan.targets import TARGETS
from deploy.plan.targets.base import DEPLOY
from tests.deploy.plan.conftest import MakePlan

VARIABLE = re.compile(r'^variable "(\w+)" {\n(.*?)^}', re.MULTILINE | re.DOTALL)
TYPES: dict[str, type] = {"string": str, "number": int}
BY_TERRAFORM = [name for name, target in TARGETS.items() if any((DEPLOY / target.folder).glob("*.tf"))]


def variables(target: str) -> dict[str, str]:
    """The folder's variables, each with its block."""
    files = sorted((DEPLOY / TARGETS[target].folder).glob("*.tf"))
    return {name: body for file in files for name, body in VARIABLE.findall(file.read_text())}


@pytest.mark.parametrize("target", BY_TERRAFORM)
def test_values_are_variables(make_plan: MakePlan, tmp_path: Path, target: str) -> None:
    """Each has its variable's type; those without a default are given, or named as the user's to give."""
    path = write_plan(make_plan(target, rate=300.0, p99_ms=80.0), tmp_path / "plan")
    values, declared = json.loads(path.read_text()), variables(target)
    for name, value in values.items():
        kind = re.search(r"^  type\s+= (\w+)$", declared[name], re.MULTILINE)
        assert kind is not None
        assert isinstance(value, TYPES[kind[1]]), name
    required = {name for name, body in declared.items() if not re.search(r"^  default\s+=", body, re.MULTILINE)}
    assert required - values.keys() == set(TARGETS[target].yours)
    for name in TARGETS[target].yours:
        assert f"`{name}`" in (tmp_path / "plan" / "PLAN.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("target", BY_TERRAFORM)
def test_conditions_hold(make_plan: MakePlan, tmp_path: Path, target: str) -> None:
    """Terraform itself evaluates each variable's conditions on the values, without a provider."""
    if shutil.which("terraform") is None:
        pytest.skip("needs terraform")
    path = write_plan(make_plan(target, rate=300.0, p99_ms=80.0), tmp_path / "plan")
    folder = tmp_path / "variables"
    folder.mkdir()
    shutil.copy(path, folder)
    blocks = [f'variable "{name}" {{\n{body}}}\n' for name, body in variables(target).items()]
    (folder / "variables.tf").write_text("\n".join(blocks))
    (folder / "yours.auto.tfvars.json").write_text(json.dumps(_yours(target)))
    told = subprocess.run(["terraform", "plan"], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert told.returncode == 0, told.stdout + told.stderr


def _yours(target: str) -> dict[str, object]:
    """A value of its type for each variable that is the user's to give."""
    examples: dict[str, object] = {"string": "example", "number": 1, "list": ["example"], "set": ["example"]}
    kinds = {
        name: re.search(r"^  type\s+= (\w+)", variables(target)[name], re.MULTILINE) for name in TARGETS[target].yours
    }
    return {name: examples[kind[1]] for name, kind in kinds.items() if kind}
