"""TAB in a real shell, and what is offered for each kind of argument."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands import completion
from tests.paths import ROOT


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """An environment with a `tuneship` on the path that is this checkout's."""
    script = tmp_path / "bin" / "tuneship"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import tuneship; tuneship.main()" "$@"\n')
    script.chmod(0o755)
    path = f"{script.parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}


def complete_in_bash(words: str, environment: dict[str, str], folder: Path) -> list[str]:
    """What bash offers for the last of the words, by the script that the command shows."""
    script = (
        "source <(tuneship --show-completion; true)\n"
        f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        "_tuneship_completion tuneship\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    result = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, cwd=folder, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert result.stderr == ""
    return result.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("tuneship tra", ["train"]),
        ("tuneship deploy ''", ["measure", "plan", "image"]),
        ("tuneship train --ov", ["--overwrite"]),
        ("tuneship train re", ["recipe.yaml", "recipes/one.yaml"]),
        ("tuneship train recipe.yaml --set training.learning", ["training.learning_rate"]),
        ("tuneship export runs/a --layout h", ["hub"]),
        ("tuneship deploy plan lambda-s", ["lambda-sam"]),
        ("tuneship new demo --task reg", ["regression"]),
    ],
)
def test_in_bash(words: str, offered: list[str], program: dict[str, str], tmp_path: Path) -> None:
    """Verbs, options, recipe files, recipe keys and the words of an option."""
    (tmp_path / "recipes").mkdir()
    for name in ("recipe.yaml", "recipes/one.yaml", "readme.md"):
        (tmp_path / name).touch()
    assert complete_in_bash(words, program, tmp_path) == offered


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("tuneship tra", ["train"]),
        ("tuneship train re", ["recipe.yaml"]),
        ("tuneship train recipe.yaml --set training.learning", ["training.learning_rate"]),
    ],
)
def test_in_fish(words: str, offered: list[str], program: dict[str, str], tmp_path: Path) -> None:
    """The same; fish shows what each is for beside it."""
    (tmp_path / "recipe.yaml").touch()
    script = f"tuneship --show-completion | source; complete -C '{words}'"
    assert [line.partition("\t")[0] for line in run_in("fish", script, program, tmp_path).splitlines()] == offered


@pytest.mark.slow
def test_in_zsh(program: dict[str, str], tmp_path: Path) -> None:
    """TAB at a terminal of zsh ends the verb and the file's name."""
    (tmp_path / "recipe.yaml").touch()
    script = """
        zmodload zsh/zpty && zpty shell zsh -f -i
        zpty -w shell 'autoload -Uz compinit; compinit -u; eval "$(tuneship --show-completion)"; print rea""dy'
        zpty -r shell shown '*ready*'
        zpty -w -n shell $'tuneship tra\treci\t'
        zpty -r shell shown '*train*recipe.yaml*' && print offered
        zpty -d shell
    """
    assert run_in("zsh", script, program, tmp_path).endswith("offered\n")


def run_in(shell: str, script: str, environment: dict[str, str], folder: Path) -> str:
    """What the script prints."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    result = subprocess.run(
        [shell, "-c", script], env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return result.stdout


def test_recipes_of_a_typed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden files and other endings are left out; an absolute path stays one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("one.yaml", "two.yml.bak", ".hidden.yaml", "a/three.yaml", "a/b/four.yaml"):
        (tmp_path / name).touch()
    assert completion.recipes("") == ["a/three.yaml", "one.yaml"]
    assert completion.recipes("a/") == ["a/b/four.yaml", "a/three.yaml"]
    assert completion.recipes("o") == ["one.yaml"]
    assert completion.recipes(f"{tmp_path}/on") == [f"{tmp_path}/one.yaml"]
    assert completion.recipes("nowhere/") == []


def test_names() -> None:
    """Those that begin as is typed."""
    assert completion.names("fp32", "int8")("i") == ["int8"]
    assert "task" in completion.recipe_keys("ta")
    assert completion.tasks("text2") == ["text2text-generation"]
