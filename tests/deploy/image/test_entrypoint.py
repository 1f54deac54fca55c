"""What a container runs: a mode, or a program of the image."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from deploy.image import entrypoint
from tests.paths import ROOT


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The entrypoint in a process of its own."""
    script = str(ROOT / "deploy" / "image" / "entrypoint.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_a_mode_takes_its_options() -> None:
    """They go to its command."""
    assert "Serve bundles over HTTP" in run("serve", "--help").stdout


def test_another_program_runs_as_it_is() -> None:
    """With its arguments and its exit status."""
    answer = run(sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(3)", "a b")
    assert (answer.stdout, answer.returncode) == ("['a b']\n", 3)


def test_an_unknown_mode_is_told() -> None:
    """With the modes that there are."""
    answer = run("sreve")
    assert answer.returncode == 1
    assert answer.stderr == (
        "sreve: No such file or directory. Modes: serve, bentoml, verify, lambda; or a program of the image\n"
    )


@pytest.mark.slow
def test_on_lambda_the_default_is_lambda() -> None:
    """Where the Runtime API's address is set, its loop starts: here nobody answers there."""
    answer = run(AWS_LAMBDA_RUNTIME_API="127.0.0.1:9", TUNESHIP_BUNDLE="nowhere")
    assert "nowhere" in answer.stdout + answer.stderr
    assert "tuneship serve" not in answer.stdout + answer.stderr


def test_bentoml_has_a_folder_that_it_can_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared memory, where the root is read-only; a folder that is set stays."""
    monkeypatch.setenv("TMPDIR", "/proc/1")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert entrypoint.environment("bentoml")["BENTOML_HOME"] == "/dev/shm/bentoml"
    monkeypatch.setenv("BENTOML_HOME", "/data")
    assert entrypoint.environment("bentoml")["BENTOML_HOME"] == "/data"
