"""SAM's options for the template, and the registry that Lambda asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from deploy.plan.folder import write_plan
from deploy.plan.plan import Request
from serving.errors import InputError
from tests.deploy.cloudformation import source
from tests.deploy.plan.conftest import IMAGE, MakePlan
from tests.deploy.validators import MISSING, validator


@pytest.mark.slow
def test_values_are_parameters(make_plan: MakePlan, tmp_path: Path) -> None:
    """Each is within what the template accepts of its parameter; the reserved concurrency follows the load."""
    plan = make_plan("lambda-sam", rate=300.0, p99_ms=80.0)
    options = tomllib.loads(write_plan(plan, tmp_path / "plan").read_text())["default"]
    values = dict(each.split("=", 1) for each in options["deploy"]["parameters"]["parameter_overrides"])
    for name, value in values.items():
        parameter = source()["Parameters"][name]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value)
        assert value in map(str, parameter.get("AllowedValues", [value]))
        if parameter["Type"] == "Number":
            assert parameter.get("MinValue", 0) <= int(value) <= parameter.get("MaxValue", 10**6)
    assert (values["Name"], values["MemoryMb"], values["P99Milliseconds"]) == ("support", "1769", "80")
    busy = 300.0 * plan.request_seconds
    assert busy < int(values["MaxReplicas"]) < busy + 10


def test_no_load_no_limit(make_plan: MakePlan, tmp_path: Path) -> None:
    """Without a load the account's concurrency is shared, and the alarm keeps its default."""
    text = write_plan(make_plan("lambda-sam"), tmp_path / "plan").read_text()
    assert '"MaxReplicas=0"' in text
    assert "P99Milliseconds" not in text


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_sam_reads_them(make_plan: MakePlan, tmp_path: Path) -> None:
    """SAM's own reader of configuration files and of parameters takes the written folder."""
    path = write_plan(make_plan("lambda-sam", rate=300.0), tmp_path / "plan")
    assert (told := validator("sam", "validate", "--lint", cwd=path.parent)).returncode == 0, told.stderr
    script = (
        "import sys, tomllib\n"
        "from samcli.cli.types import CfnParameterOverridesType\n"
        "from samcli.lib.config.samconfig import SamConfig\n"
        "config = SamConfig('.', 'samconfig.toml')\n"
        "found = config.get_all(['deploy'], 'parameters', 'default')\n"
        "print(CfnParameterOverridesType().convert(tuple(found['parameter_overrides']), None, None)['Name'])\n"
    )
    told = validator("python", "-c", script, cwd=path.parent)
    assert told.stdout == "support\n", told.stderr


@pytest.mark.parametrize("target", ["lambda-sam", "lambda-terraform", "sagemaker"])
def test_other_registries(target: str) -> None:
    """AWS takes images of its own registry alone, which is told before anything is measured."""
    with pytest.raises(InputError, match=rf"{target} takes images that are named ACCOUNT\.dkr\.ecr\."):
        Request.of(target, IMAGE)
