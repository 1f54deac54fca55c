"""The service works with the newest BentoML 1.4 too: its tests pass there."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.paths import ROOT

NEXT = ROOT / ".venv-bentoml" / "bin" / "python"
MISSING = "" if NEXT.exists() else "there is no .venv-bentoml: make bentoml"
TESTS = (
    "tests/serving/test_service.py", "tests/serving/test_bento.py", "tests/serving/bento", "tests/stores/test_bento.py",
)  # fmt: skip


@pytest.mark.slow(first=True)
@pytest.mark.skipif(bool(MISSING), reason=MISSING or "there is one")
def test_the_newest() -> None:
    """The same tests, with the environment that `make bentoml` makes."""
    version = subprocess.run(
        [NEXT, "-c", "import bentoml; print(bentoml.__version__)"], capture_output=True, text=True, check=True
    )
    assert tuple(map(int, version.stdout.split("."))) > (1, 4, 39)
    command = [NEXT, "-m", "pytest", "-q", "-x", "-m", "not docker", "--deselect", f"{TESTS[2]}/test_versions.py"]
    outer = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID", "PYTEST_ADDOPTS")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    result = subprocess.run(
        [*command, *TESTS], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500, check=False
    )
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert " passed" in result.stdout
