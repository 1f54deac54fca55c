"""Where nothing more can be written, a command says so and leaves nothing half-written."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.bundle.bundle import Bundle
from tests.paths import ROOT
from tests.test_cli import assert_refused, tuneship_here
from tests.trainer.conftest import weights
from trainer.run.run import Run


@contextmanager
def files_of(most: int) -> Iterator[None]:
    """No file can be written past ``most`` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file's content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_predict(tiny_bundle: Path, tmp_path: Path) -> None:
    """The older answers stay, and no part of the new ones."""
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"inputs": "stop"}\n' * 100)
    target.write_text("older")
    with files_of(5000):
        assert_refused(
            tuneship_here("predict", tiny_bundle, "-i", source, "-o", target),
            f"{target}.partial/part-00000.jsonl: file too large",
        )
    assert files_in(tmp_path) == {"in.jsonl": source.read_bytes(), "out.jsonl": b"older"}


@pytest.mark.slow
@pytest.mark.parametrize(("most", "words"), [(1000, "file too large"), (60_000, "file too large"), (100_000, "state")])
def test_train(tiny_run: Run, tmp_path: Path, most: int, words: str) -> None:
    """Settings, weights or Trainer's state cannot be written: the next command goes on, to the same weights."""
    recipe = ROOT / tiny_run.recipe
    with files_of(most):
        assert_refused(tuneship_here("train", recipe, "-o", tmp_path / "run"), words)
    assert Run(tmp_path / "run").status() in (None, "running")
    assert tuneship_here("train", recipe, "-o", tmp_path / "run").returncode == 0
    assert weights(Run.open(tmp_path / "run")) == weights(tiny_run)
    assert not list((tmp_path / "run").glob(".*"))


@pytest.mark.slow
def test_export(tiny_run: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    """The older bundle stays as it is, and nothing beside it."""
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    before = files_in(tmp_path)
    for most in (20_000, 60_000):
        with files_of(most):
            assert_refused(tuneship_here("export", tiny_run.root, "-o", tmp_path / "bundle"), "file too large")
        assert files_in(tmp_path) == before
    assert Bundle.open(tmp_path / "bundle")


READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77
python -m tuneship train "$2" -o "$1/run"
python -m tuneship export "$3" -o "$1/bundle"
python -m tuneship predict "$4" -i "$5" -o "$1/out.jsonl"
"""


@pytest.mark.slow
def test_read_only(tiny_run: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    """A file system that cannot be written to is named with what to do."""
    (tmp_path / "in.jsonl").write_text('{"inputs": "stop"}\n')
    folder = tmp_path / "read-only"
    folder.mkdir()
    paths = [folder, ROOT / tiny_run.recipe, tiny_run.root, tiny_bundle, tmp_path / "in.jsonl"]
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh", *map(str, paths)]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    try:
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    except FileNotFoundError:
        pytest.skip("needs unshare, of util-linux")
    if result.returncode == 77 or "unshare failed" in result.stderr:
        pytest.skip(f"no mount namespaces here: {result.stderr}")
    assert "Traceback" not in result.stderr
    assert result.stderr.count("read-only file system; write elsewhere") == 3
    assert f"{folder / 'out.jsonl.partial'}: read-only" in result.stderr
