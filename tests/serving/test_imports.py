"""Imports run one way: export → trainer, batch → stores → serving → numpy, tokenizers. Serving stands alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.serving.processes import environment, python

TRAINING = {"torch", "transformers", "datasets", "accelerate", "safetensors", "sklearn", "matplotlib", "onnx"}
ADAPTORS = {"bentoml", "uvicorn", "uvloop", "awslambdaric", "typer", "rich", "starlette", "prometheus_client"}
FORBIDDEN = {
    "serving": {"batch", "stores", "trainer", "export", "bench", "tests", "tuneship", *TRAINING},
    "stores": {"batch", "trainer", "export", "bench", "tests", "tuneship", *TRAINING},
    "batch": {"commands", "trainer", "export", "bench", "tests", "tuneship", *TRAINING},
    "trainer": {"batch", "export", "bench", "tests", "tuneship"},
    "export": {"batch", "bench", "inspection", "tests", "tuneship"},
    "inspection": {"batch", "bench", "commands", "tests", "tuneship"},
}
CORE = ("errors", "bundle.bundle", "tasks", "inference.session", "inference.predictor", "batching.batcher", "protocols")


def modules(room: str) -> list[str]:
    """Every module of a room, by its import name."""
    paths = sorted((ROOT / room).rglob("*.py"))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in names]


def imported_by(path: Path) -> set[str]:
    """The top-level names that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add((node.module or "").partition(".")[0])
    return found


def loaded_after(*names: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after importing ``names``."""
    return {name.partition(".")[0] for name in modules_after(*names)}


def modules_after(*names: str) -> set[str]:
    """All modules that it has loaded then."""
    script = f"import sys, {', '.join(names)}\nprint(*sys.modules)"
    result = subprocess.run(
        python("-c", script), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    return set(result.stdout.split())


@pytest.mark.parametrize("room", FORBIDDEN)
def test_direction(room: str) -> None:
    """No file of a room names what lies upstream of it, not even inside a function."""
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    wrong = {f"{path.relative_to(ROOT)}: {name}" for path in files for name in imported_by(path) & FORBIDDEN[room]}
    assert wrong == set()


def test_serving_loads_no_training() -> None:
    """Importing all of serving but the doors of BentoML and Ray loads nothing that trains, and not BentoML."""
    doors = ("serving.service", "serving.bento.", "serving.entrypoints.ray_serve")
    names = [name for name in modules("serving") if not name.startswith(doors)]
    assert len(names) > 15
    loaded = loaded_after(*names)
    assert loaded & {*TRAINING, "bentoml", "trainer", "export"} == set()
    assert {"numpy", "tokenizers", "onnxruntime"} <= loaded


def test_core_loads_no_adaptor() -> None:
    """The core knows no HTTP, no command line and no cloud."""
    assert loaded_after(*(f"serving.{name}" for name in CORE)) & ADAPTORS == set()


def test_core_reads_no_environment() -> None:
    """Environment variables are read in adaptors and settings only; the core sets the one that stops telemetry."""
    readers = {
        path.stem
        for path in (ROOT / "serving").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert readers <= {"settings", "platforms", "session", "service", "lambda_handler", "__main__", "ray_serve"}


def test_command_line_is_lean() -> None:
    """The front door loads neither what trains, nor what serves or reaches a place, until a verb needs it."""
    unwanted = {*TRAINING, "bentoml", "onnxruntime", "uvicorn", "trainer", "export", "fsspec", "huggingface_hub"}
    assert loaded_after("tuneship") & unwanted == set()


def test_onnxruntime_telemetry_is_off() -> None:
    """onnxruntime's usage reports are switched off before it is imported, whatever the environment says."""
    script = (
        "import builtins, os\n"
        "real = builtins.__import__\n"
        "def spy(name, *rest, **options):\n"
        "    if name == 'onnxruntime': assert os.environ.get('ORT_DISABLE_TELEMETRY') == '1'\n"
        "    return real(name, *rest, **options)\n"
        "builtins.__import__ = spy\n"
        "import serving.inference.predictor, sys\n"
        "print('onnxruntime' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, env=environment(ORT_DISABLE_TELEMETRY="0"), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.stdout == "True\n", result.stderr


def test_rare_requests_load_later() -> None:
    """A function that classifies starts without explanations, generation, OpenAI's protocols, page and redaction."""
    rare = (
        "serving.explain.explainer", "serving.inference.generation", "serving.protocols.openai_decisions.decide",
        "serving.protocols.openai_generation", "serving.http.openapi", "serving.http.page", "serving.tasks.redaction",
    )  # fmt: skip
    assert not {name for name in modules_after("serving.lambda_handler") if name.startswith(rare)}
