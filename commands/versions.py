"""``tuneship --version``: of Tuneship, and of what an answer or a training depends on."""

from __future__ import annotations

from typing import Any

from commands.terminal import out, speaking, tell
from serving import VERSION

PACKAGES = (
    "numpy", "onnxruntime", "onnxruntime-gpu", "tokenizers", "bentoml", "torch", "transformers", "datasets", "onnx",
    "peft", "optuna",
)  # fmt: skip
"""The main ones; what is not installed is left out."""


def show_versions() -> None:
    with speaking():
        tell(read_versions())
        out.print(f"tuneship {VERSION}", highlight=False)


def read_versions() -> dict[str, Any]:
    import platform  # with importlib.metadata, 15 ms of every start

    installed = {name: version for name in PACKAGES if (version := _version_of(name))}
    return {
        "tuneship": VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": installed,
    }


def _version_of(name: str) -> str | None:
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
