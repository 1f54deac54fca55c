"""Terraform with AWS' own provider: what it says of a module of deploy/.

The provider comes from a folder laid out as a mirror: ``TF_PLUGIN_DIR``, or one that the machine has.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from tests.deploy.validators import AWS

SYSTEM_MIRRORS = ("~/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins")


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
