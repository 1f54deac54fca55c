"""What a container runs: a mode, or a program of the image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
        "sreve: No such file or directory. Modes: serve, bentoml, verify, explain, predict, tuneship, lambda, card,"
        " help; or a program of the image\n"
    )


def test_help_tells_each_mode() -> None:
    """As whoever has nothing but the image asks for it, in 80 columns."""
    answer = run("--help")
    assert answer.returncode == 0
    assert all(f"\n  {mode} " in answer.stdout for mode in (*entrypoint.MODES, "lambda", "card"))
    assert max(map(len, answer.stdout.splitlines())) <= 80


def test_the_card(tmp_path: Path) -> None:
    """That of the bundle."""
    (tmp_path / "README.md").write_text("# support\n")
    assert run("card", TUNESHIP_BUNDLE=str(tmp_path)).stdout == "# support\n"
    assert "nowhere has no model card" in run("card", TUNESHIP_BUNDLE="nowhere").stderr


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "argument"), [("verify", ""), ("explain", "where is my parcel?")])
def test_the_bundle_is_that_of_the_image(mode: str, argument: str, tiny_bundle: Path) -> None:
    """It need not be named."""
    answer = run(mode, *filter(None, [argument]), TUNESHIP_BUNDLE=str(tiny_bundle))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
def test_other_commands() -> None:
    """Of Tuneship."""
    assert run("tuneship", "--version").stdout.startswith("tuneship ")


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
