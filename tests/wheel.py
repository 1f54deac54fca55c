"""The project's wheel, and what it installs."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.copies import copy_of_the_project
from tests.sharing import made_once


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a copy of the project, built once."""

    def make(folder: Path) -> None:
        source = copy_of_the_project(folder / "source")
        command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
        subprocess.run([sys.executable, *command, str(source)], check=True, timeout=300)

    [path] = made_once(tmp_path_factory, "wheel", make).glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own."""

    def make(folder: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")

    return made_once(tmp_path_factory, "wheel-content", make) / "site"


@pytest.fixture(scope="session")
def installed_command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `tuneship` command of an environment that pip has installed the wheel into; its dependencies are shared."""

    def make(folder: Path) -> None:
        venv.create(folder / "venv", symlinks=True)
        python = folder / "venv" / "bin" / "python"
        script = "import sysconfig; print(sysconfig.get_path('purelib'))"
        library = subprocess.run([str(python), "-c", script], check=True, capture_output=True, text=True).stdout.strip()
        (Path(library) / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
        subprocess.run(pip, check=True, timeout=300)

    return made_once(tmp_path_factory, "wheel-environment", make) / "venv" / "bin" / "tuneship"
