"""`make demo`'s script on the real base model and the quickstart data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.copies import copy_of_the_project


@pytest.mark.slow(first=True)
def test_the_demo_walks_the_road_and_a_second_run_reuses_it(tmp_path: Path) -> None:
    """It trains, proves, builds, serves, asks and stops; run again it trains, exports and builds nothing."""
    checkout = copy_of_the_project(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "COLUMNS": "80"}
    environment.pop("BENTOML_HOME", None)

    def demo() -> str:
        result = subprocess.run(
            [sys.executable, "demo.py"], cwd=checkout, env=environment, capture_output=True, text=True,
            timeout=600, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        return result.stdout

    first, second = demo(), demo()
    for output in (first, second):
        assert "→ track_order" in output
        assert "→ payment_problem" in output
        assert "→ speak_to_human" in output
        assert "what the demo did" in output
    assert "finished already" in second
    assert "is this run's already" in second
    assert "is built already" in second
    leftovers = subprocess.run(["pgrep", "-f", str(checkout)], capture_output=True, text=True, check=False).stdout
    assert leftovers == ""
