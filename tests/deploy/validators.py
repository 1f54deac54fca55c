"""The tools that check what lies in deploy/, in environments of their own. ``make validators`` installs them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.measurement.process import free_port
from tests.paths import ROOT
from tests.stores.mlflow_server import listening

HOME = ROOT / ".venv-validators"
CHECKOV = HOME / "checkov" / "bin" / "checkov"
MISSING = "" if CHECKOV.is_file() else "there are no validators: make validators"
POLICIES = Path(__file__).parent / "policies"

REGION = "eu-west-1"
AWS = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "SAM_CLI_TELEMETRY": "0",
}


def validator(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What one of them says; ours is not on its import path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | AWS
    program = HOME / "bin" / command[0]
    line = [program, *command[1:]]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, env=environment, cwd=cwd)


def failed_checks(framework: str, path: Path, folder: Path, values: dict[str, Any] | None = None) -> set[str]:
    """The ids of checkov's checks, ours included, that a file or a folder fails, each with the resource.

    ``values``: of Terraform's variables.
    """
    (folder / "values.tfvars").write_text(
        "".join(f"{name} = {json.dumps(each)}\n" for name, each in (values or {}).items())
    )
    target = "--directory" if path.is_dir() else "--file"
    options = ("--external-checks-dir", POLICIES, "--skip-download", "--compact", "--quiet", "--output", "json")
    filled = ("--var-file", folder / "values.tfvars") if values else ()
    told = validator(CHECKOV, "--framework", framework, target, path, *filled, *options, cwd=folder)
    reports = json.loads(told.stdout)
    assert "results" in reports, told.stdout + told.stderr
    assert reports["summary"]["parsing_errors"] == 0, told.stdout
    assert reports["summary"]["passed"], told.stdout
    return {f"{check['check_id']} {check['resource']}" for check in reports["results"]["failed_checks"]}


@contextmanager
def running_moto(folder: Path) -> Iterator[str]:
    """The address of an AWS of this machine."""
    port = free_port()
    command = ["env", "MOTO_IAM_LOAD_MANAGED_POLICIES=true", str(HOME / "bin" / "moto_server"), "-p", str(port)]
    with listening(command, port, "/moto-api/data.json", folder):
        yield f"http://127.0.0.1:{port}"


def client(service: str, address: str) -> Any:
    """A client of that AWS."""
    import boto3

    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    return boto3.client(service, endpoint_url=address, region_name=REGION, **keys)
