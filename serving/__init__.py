"""Bundle → answers. `Predictor` answers in any Python program; it is loaded when it is first named."""

from __future__ import annotations

from typing import Any

VERSION = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Predictor":
        from importlib import import_module  # a plain import would make this package import itself

        return import_module("serving.entrypoints.library").Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
