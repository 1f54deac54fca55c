"""What the first step of a training waits for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.paths import ROOT

LATER = (
    "matplotlib",
    "sklearn",
    "scipy.stats",
    "onnxscript",
    "transformers.exporters.exporter_onnx",
    "optuna",
    "mlflow",
)


@pytest.mark.slow
def test_imports() -> None:
    """`tuneship train` imports what draws, measures and converts after it."""
    code = (
        "import sys\n"
        "import commands.training\n"
        "from trainer.recipe.recipe import load_recipe\n"
        "from export.rehearsal import rehearse\n"
        "from trainer.train import train\n"
        f"print([name for name in {LATER} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
