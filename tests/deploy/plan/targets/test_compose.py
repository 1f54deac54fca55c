"""The .env file: variables that the compose file reads, at the plan's values."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy.plan.folder import write_plan
from tests.deploy.compose.test_compose import compose_command
from tests.deploy.plan.conftest import IMAGE, MakePlan


def test_variables(make_plan: MakePlan, tmp_path: Path) -> None:
    """Each is one of the file's, or Compose's own; the image is named by its digest."""
    path = write_plan(make_plan("compose"), tmp_path / "plan")
    found = dict(line.split("=", 1) for line in path.read_text().splitlines())
    read = set(re.findall(r"\$\{(\w+)", (tmp_path / "plan" / "docker-compose.yaml").read_text()))
    assert found.keys() <= read | {"COMPOSE_PROJECT_NAME"}
    assert found["IMAGE"] == IMAGE
    assert (found["CPUS"], found["MEMORY_MB"], found["THREADS"]) == ("1", "448", "1")


def test_links_become_files(make_plan: MakePlan, tmp_path: Path) -> None:
    """What the folder links to comes along: every file that a service reads is there, but for the user's password."""
    path = write_plan(make_plan("compose"), tmp_path / "plan")
    text = (tmp_path / "plan" / "docker-compose.yaml").read_text()
    for name in set(re.findall(r"\./([\w./-]+)(?::|\s)", text)) - {"grafana-password"}:
        assert (path.parent / name).is_file(), name
        assert not (path.parent / name).is_symlink()


@pytest.mark.slow
def test_compose_takes_it(make_plan: MakePlan, tmp_path: Path) -> None:
    """`docker compose config` reads the .env file beside it."""
    path = write_plan(make_plan("compose"), tmp_path / "plan")
    command = [*compose_command(), "config", "--quiet"]
    environment = {name: value for name, value in os.environ.items() if name not in {"IMAGE", "CPUS", "THREADS"}}
    told = subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
