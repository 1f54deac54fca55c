"""Installed packages without what a server never uses: they still load, and their lists of files tell the truth."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from deploy.image.shrink import SYMBOLS, shrink
from deploy.image.symbols import drop_symbols

LOOP = Path(uvloop.__file__).parent


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with a copy of the installed uvloop, of whose library symbols are the larger part."""
    distribution = importlib.metadata.distribution("uvloop")
    for file in distribution.files or ():
        if "__pycache__" not in file.parts:
            place = tmp_path / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), place)
    return tmp_path


def library(folder: Path) -> Path:
    """uvloop's extension module."""
    return next((folder / "uvloop").glob("loop.*.so"))


def test_a_library_without_symbols_works(packages: Path) -> None:
    """It is smaller, and runs a loop."""
    before = library(packages).stat().st_size
    saved = shrink(packages)[SYMBOLS]
    assert library(packages).stat().st_size <= before - saved < before / 2
    script = "import asyncio, uvloop; print(uvloop.__file__, uvloop.run(asyncio.sleep(0, 'done')))"
    command = [sys.executable, "-S", "-c", script]
    answer = subprocess.run(command, env={"PYTHONPATH": str(packages)}, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [str(packages / "uvloop" / "__init__.py"), "done"]


def test_once_is_enough(packages: Path) -> None:
    """A second time there is nothing to cut."""
    shrink(packages)
    assert set(shrink(packages).values()) == {0}


def test_the_lists_of_files_are_true(packages: Path) -> None:
    """RECORD names the files that are left, with their hashes and sizes."""
    (packages / "uvloop" / "tests").mkdir()
    (packages / "uvloop" / "tests" / "test_it.py").write_text("assert True\n")
    shrink(packages)
    (distribution,) = importlib.metadata.distributions(path=[str(packages)])
    files = list(distribution.files or ())
    assert {str(file) for file in files} == {
        str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()
    }
    for file in files:
        assert file.size in (None, (packages / file).stat().st_size)


def test_what_is_no_library_stays(tmp_path: Path) -> None:
    """A text that is called .so is left as it is."""
    text = tmp_path / "script.so"
    text.write_bytes(b"INPUT(libfoo.a)" * 10_000)
    assert drop_symbols(text) == 0
    assert text.stat().st_size == 150_000
