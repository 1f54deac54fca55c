"""The hash of a module's source: of all files of its top-level package, or of the one file that it is."""

from __future__ import annotations

import hashlib
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

MADE = ("__pycache__",)
"""Folders that Python writes."""


def hash_source(module: str) -> str:
    """The same wherever the package is installed; raises ImportError, OSError, ValueError."""
    spec = _top_level(module)
    if spec.submodule_search_locations is None:
        return hashlib.sha256(Path(_origin(spec)).read_bytes()).hexdigest()
    root = Path(_origin(spec)).parent
    files = sorted(path for path in root.rglob("*") if path.is_file() and not _is_made(path.relative_to(root)))
    lines = (f"{path.relative_to(root).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _top_level(module: str) -> ModuleSpec:
    """Below namespaces, which several distributions may share."""
    names = module.split(".")
    for count in range(1, len(names) + 1):
        name = ".".join(names[:count])
        spec = find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"there is no module {name!r}")
        if spec.origin is not None:
            return spec
    raise ValueError(f"{module} is a namespace, and has no file")


def _origin(spec: ModuleSpec) -> str:
    if not spec.has_location or spec.origin is None:
        raise ValueError(f"{spec.name} is built into Python")
    return spec.origin


def _is_made(path: Path) -> bool:
    return any(part in MADE for part in path.parts) or path.suffix == ".pyc"
