"""Extensions for every room's tests: a tuneship.toml with a module beside it, and packages that are installed."""

from __future__ import annotations

import itertools
import textwrap
from pathlib import Path

import pytest

from serving.extensions import registry
from tests.paths import ROOT

EXAMPLES = ROOT / "examples" / "extensions"
_numbers = itertools.count()


def work_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Make ``folder`` the working directory; what it puts on the path of modules is gone after the test."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))  # restores the path and forgets what finders know
    return folder


def write_local(folder: Path, source: str, **names: str) -> str:
    """A module of a new name in ``folder``, and a tuneship.toml: ``metrics="f2"`` is its f2. Returns the name."""
    module = f"own_code_{next(_numbers)}"
    (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    lines = [f'{kind}.{name.replace("_", "-")} = "{module}:{name}"' for kind, name in names.items()]
    (folder / "tuneship.toml").write_text("\n".join(["[extensions]", *lines]) + "\n", encoding="utf-8")
    return module


def install(monkeypatch: pytest.MonkeyPatch, site: Path, name: str, *points: tuple[str, str, str]) -> None:
    """A distribution's metadata in ``site``, which is on the path: (kind, name, target) are its entry points."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = [f"[tuneship.{kind}]\n{point} = {target}\n" for kind, point, target in points]
    (info / "entry_points.txt").write_text("\n".join(groups))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(registry, "installed", getattr(registry.installed, "__wrapped__", registry.installed))
