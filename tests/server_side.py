"""The server's fast tests on another Python, or with the lowest versions that pyproject.toml allows.

`python -m tests.server_side [--python PATH] [--lowest]`, from the environment of `make setup`: it makes the models that
the tests read, and they run where only a server is installed, on the newest Python that is found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.image.install import normalize
from deploy.image.lock import PYTHONS, read_pins
from deploy.lock import lower_bound, read_groups
from tests.paths import ROOT

TESTS = ("tests/serving", "tests/stores", "tests/batch", "tests/test_files.py")
EXTRAS = ("otel", "grpc", "parquet")
"""Of a server, with its own requirements."""

TOOLS = ("pytest", "pytest-xdist", "filelock", "hypothesis", "jsonschema", "openapi-spec-validator", "openai")
"""What the tests need, in the versions of requirements-dev.txt."""

SHARED = "TUNESHIP_TEST_SHARED"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.server_side", description=__doc__)
    parser.add_argument("--python", help="an interpreter; the newest that is found, unless --lowest")
    parser.add_argument("--lowest", action="store_true", help="with the lowest versions, on this interpreter")
    parser.add_argument("--workers", default="2", help="processes that share the tests")
    options, rest = parser.parse_known_args(arguments)
    python = options.python or (sys.executable if options.lowest else newest_python())
    if python is None:
        print("server side: skipped, as there is no newer Python than this one: --python PATH")
        return 0
    environment = make_environment(python, lowest=options.lowest)
    with tempfile.TemporaryDirectory() as folder:
        shared = os.environ.get(SHARED) or folder
        if shared == folder:  # nobody has made the models yet
            run_tests(Path(sys.executable), shared, options.workers, rest)
        return run_tests(environment, shared, options.workers, ["-p", "tests.without_training", *rest])


def newest_python() -> str | None:
    """Of those that Tuneship supports; this interpreter's tests have run already."""
    newer = [name for name in PYTHONS if tuple(map(int, name.split("."))) > sys.version_info[:2]]
    return next((path for name in reversed(newer) if (path := shutil.which(f"python{name}"))), None)


def make_environment(python: str, *, lowest: bool) -> Path:
    """The interpreter of an environment in the project's folder, with a server and what tests it."""
    folder = ROOT / f".venv-server-{'lowest' if lowest else version_of(python)}"
    own = folder / "bin" / "python"
    if not own.exists():
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
        # Some systems' Pythons come without pip, and this one's pip may be too old for theirs.
        library = ask(str(own), "import sysconfig; print(sysconfig.get_path('purelib'))")
        install([sys.executable, "-m", "pip"], ["--no-deps", "--target", library, "pip"])
    install([str(own), "-m", "pip"], lowest_requirements() if lowest else locked_requirements())
    return own


def version_of(python: str) -> str:
    return ask(python, "import sys; print('%d.%d' % sys.version_info[:2])")


def ask(python: str, script: str) -> str:
    """What it prints."""
    return subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def install(pip: Sequence[str], what: Sequence[str]) -> None:
    """Wheels alone."""
    subprocess.run([*pip, "install", "--quiet", "--only-binary", ":all:", *what], check=True)


def lowest_requirements() -> list[str]:
    """The lower bounds, and what they bring."""
    groups = read_groups()
    return [*(lower_bound(line) for name in ("server", *EXTRAS) for line in groups[name]), *tools()]


def locked_requirements() -> list[str]:
    """What a server has, in the versions that everything is tested with."""
    pins = read_pins(ROOT / "requirements-dev.txt")
    extras = [normalize(re.split(r"[\[=<>]", line)[0]) for name in EXTRAS for line in read_groups()[name]]
    return [*read_pins(ROOT / "requirements.txt").values(), *(pins[name] for name in extras), *tools()]


def tools() -> list[str]:
    pins = read_pins(ROOT / "requirements-dev.txt")
    return [pins[name] for name in TOOLS]


def run_tests(python: Path, shared: str, workers: str, options: Sequence[str]) -> int:
    """pytest's exit status."""
    command = [str(python), "-m", "pytest", "-q", "-m", "not slow and not docker", "-n", workers, "--dist", "worksteal"]
    environment = {**os.environ, SHARED: shared, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*command, *options, *TESTS], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
