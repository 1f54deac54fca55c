"""The README's commands, run word by word in one shell, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.process import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NOT_COPIED = shutil.ignore_patterns(".venv", ".git", "runs", "bundles", "bundle", "build", "__pycache__", ".*_cache")


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the environment of this one."""
    folder = tmp_path_factory.mktemp("readme") / "tuneship"
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
    (folder / "build").mkdir()
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return folder


def run(script: str, checkout: Path) -> str:
    """The output of a shell script whose every command must succeed."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "BENTOML_HOME": str(checkout / "build" / "bentoml"),
    }
    command = ["bash", "-m", "-euo", "pipefail", "-c", script]
    result = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, f"{script}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result.stdout


@pytest.mark.slow
def test_the_road_works_as_written(checkout: Path) -> None:
    """Every `sh` block runs in order; the shell asks the server it started and gets an answer."""
    port = str(free_port())
    commands = [block for block in blocks("sh") if "make demo" not in block]
    script = "\n".join(commands).replace("make bento", "make -o setup -o .venv/.ready bento").replace("3000", port)
    output = run("mkdir -p build bentos\n" + script, checkout)
    assert '"label":"track_order"' in output
    assert (checkout / "build" / "out.jsonl").read_text().count("outputs") == 2
    assert (checkout / "runs" / "support" / "report.md").is_file()


def test_the_python_example_is_the_clients_own() -> None:
    """The Python block compiles, and needs nothing but huggingface_hub."""
    (block,) = blocks("python")
    compile(block, "README.md", "exec")
    assert re.findall(r"^(?:from|import) (\w+)", block, re.MULTILINE) == ["huggingface_hub"]


def test_every_link_leads_somewhere() -> None:
    """Every relative link of the README names a file of the project."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links)


def test_every_make_target_named_exists() -> None:
    """Each `make TARGET` in the README and in CONTRIBUTING is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z]+)\b", README + (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert {"demo", "test", "check"} <= set(named) <= targets
