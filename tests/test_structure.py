"""The house: few entries in each room's hall, and no circle among modules or rooms, type-checking imports included."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.paths import ROOT

PACKAGES = {
    "batch": 13,
    "checks": 10,
    "commands": 18,
    "inspection": 6,
    "deploy": 22,
    "docsite": 10,
    "serving": 16,
    "stores": 12,
    "trainer": 12,
    "export": 11,
    "onboarding": 3,
    "search": 10,
    "templates": 5,
}
"""The most entries at the top of each package, ``__init__.py`` not counted."""

Imports = Mapping[str, Set[str]]


def name_of(path: Path) -> str:
    """A file's import name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def project_imports() -> dict[str, set[str]]:
    """The project's modules, each with those that it imports anywhere in its file."""
    paths = {name_of(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    return {name: imported_by(path, paths.keys()) for name, path in paths.items()}


def imported_by(path: Path, known: Set[str]) -> set[str]:
    """The known modules that a file imports, inside functions and for type checking too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (submodules & known) or {str(node.module)}
    return found & known


def rooms(imports: Imports) -> dict[str, set[str]]:
    """The same, with the modules of a folder taken as one."""
    found: dict[str, set[str]] = {}
    for name, others in imports.items():
        room = room_of(name)
        found.setdefault(room, set()).update({room_of(other) for other in others} - {room})
    return found


def room_of(name: str) -> str:
    """The folder below the package that holds a module; a file beside the folders is a room of its own."""
    return ".".join(name.split(".")[:2])


def circle_of(imports: Imports) -> list[str]:
    """The modules of a circle, or none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_among_modules() -> None:
    """No module imports itself by way of others, not even for its type checker."""
    assert circle_of(project_imports()) == []


def test_no_circle_among_rooms() -> None:
    """No folder imports itself by way of others."""
    assert circle_of(rooms(project_imports())) == []


def test_a_circle_is_found() -> None:
    """The two tests above can fail."""
    circle = circle_of({"serving.a.b": {"serving.c.d"}, "serving.c.d": {"serving.a.b"}})
    assert set(circle) == {"serving.a.b", "serving.c.d"}


@pytest.mark.parametrize("package", PACKAGES)
def test_few_entries_at_the_top(package: str) -> None:
    """A newcomer sees a package's rooms at one glance."""
    entries = [
        path.name for path in (ROOT / package).iterdir() if not path.name.startswith("__") and path.name != "py.typed"
    ]
    assert len(entries) <= PACKAGES[package], sorted(entries)
