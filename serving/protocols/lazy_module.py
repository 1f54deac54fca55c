"""A module that few servers need."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any


class LazyModule:
    """Its functions, by name; it is imported when one of them is first called, so that the server starts sooner."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, function: str) -> partial[Any]:
        if function.startswith("__"):
            raise AttributeError(function)
        return partial(_call, self._name, function)


def _call(module: str, function: str, *args: Any) -> Any:
    return getattr(import_module(module), function)(*args)
