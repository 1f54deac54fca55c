"""Terraform with AWS' own provider: what it says of a module of deploy/, and what it makes in moto.

The provider comes from a folder laid out as a mirror: ``TF_PLUGIN_DIR``, or one that the machine has.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.deploy.validators import AWS, REGION

SYSTEM_MIRRORS = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")
SERVICES = [
    "apigatewayv2",
    "applicationautoscaling",
    "cloudwatch",
    "cloudwatchevents",
    "cloudwatchlogs",
    "codedeploy",
    "ec2",
    "ecr",
    "ecs",
    "elbv2",
    "iam",
    "lambda",
    "sqs",
    "sts",
]


@functools.cache
def provider_folder(provider: str = "hashicorp/aws") -> Path | None:
    """The mirror that has a provider."""
    named = [Path(os.environ["TF_PLUGIN_DIR"])] if "TF_PLUGIN_DIR" in os.environ else []
    found = [path.parent for path in Path("/opt").glob("*/registry.terraform.io")]
    folders = [*named, *(Path(each).expanduser() for each in SYSTEM_MIRRORS), *found]
    return next((folder for folder in folders if (folder / "registry.terraform.io" / provider).is_dir()), None)


def why_no_terraform(provider: str = "hashicorp/aws") -> str:
    """Empty where its binary and the provider are here; else the reason to skip."""
    if shutil.which("terraform") is None:
        return "there is no terraform command"
    return "" if provider_folder(provider) else f"no folder has Terraform's provider {provider}: set TF_PLUGIN_DIR"


def run(*arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """One command; an AssertionError has what it said."""
    environment = {
        **os.environ,
        **AWS,
        "TF_CLI_CONFIG_FILE": os.devnull,
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
    }
    line = ["terraform", *arguments]
    told = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False, cwd=cwd, env=environment)
    assert not check or told.returncode == 0, told.stdout[-6000:] + told.stderr[-6000:]
    return told


def initialized(module: Path, folder: Path) -> Path:
    """A copy of a module with its provider."""
    copy = folder / module.name
    shutil.copytree(module, copy, ignore=shutil.ignore_patterns(".terraform*"))
    run("init", "-backend=false", "-input=false", f"-plugin-dir={provider_folder()}", "-no-color", cwd=copy)
    return copy


def sent_to(address: str, module: Path) -> None:
    """Write the provider's configuration that sends all calls to moto."""
    settings = {
        "region": REGION,
        "access_key": "none",
        "secret_key": "none",
        "skip_credentials_validation": True,
        "skip_metadata_api_check": True,
        "skip_requesting_account_id": False,
        "endpoints": [dict.fromkeys(SERVICES, address)],
    }
    (module / "moto_override.tf.json").write_text(json.dumps({"provider": {"aws": settings}}))


def applied(module: Path, **variables: Any) -> dict[str, Any]:
    """Make everything; gives the outputs."""
    (module / "test.auto.tfvars.json").write_text(json.dumps(variables))
    run("apply", "-auto-approve", "-input=false", "-no-color", cwd=module)
    outputs = json.loads(run("output", "-json", cwd=module).stdout)
    return {name: each["value"] for name, each in outputs.items()}
