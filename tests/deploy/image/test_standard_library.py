"""Python's own modules are compiled where the base image has their sources alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from deploy.image import standard_library


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A standard library of three modules, of which one is compiled."""
    folder = tmp_path / "python"
    for name in ("one.py", "part/two.py", "test/three.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("raise ValueError(__name__)\n")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder / "one.py")], check=True)
    monkeypatch.setattr(sysconfig, "get_path", {"stdlib": str(folder)}.__getitem__)
    return folder


def test_what_is_missing_is_compiled(library: Path, tmp_path: Path) -> None:
    """Below the other root, in the place where Python looks; tests are left out."""
    root = tmp_path / "root"
    standard_library.main(root)
    cached = Path(importlib.util.cache_from_source(str(library / "part" / "two.py")))
    assert [path for path in root.rglob("*") if path.is_file()] == [root / cached.relative_to("/")]


def test_it_is_taken_without_a_look_at_the_source(library: Path, tmp_path: Path) -> None:
    """Python runs it even if the source has another time, and tracebacks name the source."""
    standard_library.main(tmp_path / "root")
    cached = Path(importlib.util.cache_from_source(str(library / "part" / "two.py")))
    cached.parent.mkdir()
    (tmp_path / "root" / cached.relative_to("/")).rename(cached)
    (library / "part" / "two.py").write_text("pass\n" * 50)
    command = [sys.executable, "-c", "import two"]
    answer = subprocess.run(command, cwd=library / "part", capture_output=True, text=True, check=False)
    assert "ValueError: two" in answer.stderr
    assert str(library / "part" / "two.py") in answer.stderr
