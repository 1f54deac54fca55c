"""Terraform's files: their text, and what Terraform itself says of those that need no provider."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BLOCK = re.compile(r'^(\w+)(?: "([\w-]+)")?(?: "([\w-]+)")? \{(?:\n(.*?)^)?\}', re.MULTILINE | re.DOTALL)
LOCAL = re.compile(r"^  (\w+) += ", re.MULTILINE)
COMMENT = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)
MISSING = "" if shutil.which("terraform") else "there is no terraform on this machine"

Block = tuple[str, str, str, str]
"""Keyword, two labels, body."""


def text_of(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))


def blocks(folder: Path, keyword: str) -> list[Block]:
    """Of the top level."""
    return [found for found in BLOCK.findall(text_of(folder)) if found[0] == keyword]


def declared(folder: Path) -> set[str]:
    """The addresses that an expression of the folder may name."""
    variables = {f"var.{name}" for _, name, _, _ in blocks(folder, "variable")}
    local = {f"local.{name}" for *_, body in blocks(folder, "locals") for name in LOCAL.findall(body)}
    resources = {f"{kind}.{name}" for _, kind, name, _ in blocks(folder, "resource")}
    return variables | local | resources | {f"data.{kind}.{name}" for _, kind, name, _ in blocks(folder, "data")}


def named(folder: Path, providers: Iterable[str]) -> set[str]:
    """The addresses that expressions name."""
    kinds = "|".join(f"{provider}_\\w+" for provider in providers)
    code = COMMENT.sub("", text_of(folder))
    return set(re.findall(rf"(?<![\w.])((?:var|local|data\.(?:{kinds})|{kinds})\.\w+)", code))


def is_formatted(folder: Path) -> bool:
    """By Terraform, which parses the files for it."""
    return terraform(folder, "fmt", "-check", "-diff").returncode == 0


def evaluate(folder: Path, files: Iterable[str], values: Mapping[str, Any], at: Path) -> dict[str, Any] | str:
    """The outputs of a few files with these values; or Terraform's errors."""
    at.mkdir()
    for name in files:
        shutil.copy(folder / name, at)
    (at / "terraform.tfvars.json").write_text(json.dumps(values))
    applied = terraform(at, "apply", "-auto-approve", "-input=false", "-no-color")
    if applied.returncode:
        return " ".join(re.sub(r"[│╷╵]", "", applied.stderr).split())
    told = json.loads(terraform(at, "output", "-json").stdout)
    return {name: each["value"] for name, each in told.items()}


def terraform(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["terraform", *command], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "CHECKPOINT_DISABLE": "1"},
    )  # fmt: skip
