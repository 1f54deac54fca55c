"""Extensions by kind and name: those of installed packages, then those of the working directory's tuneship.toml."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from serving.errors import InputError
from serving.extensions.extension import LOCAL, Extension
from serving.extensions.kinds import ENTRY_POINTS, Kind
from serving.extensions.local_file import read_local


def find_extension(kind: Kind, name: str, built_in: Collection[str] = ()) -> Extension:
    """The extension of this name.

    Args:
        built_in: Tuneship's own names of this kind, which no extension may have.

    Raises:
        InputError: there is none, several packages register it, one has a name that is built in, or tuneship.toml is
            wrong.
    """
    folder = Path.cwd()
    if found := installed(kind).get(name):
        _refuse_built_in(found, built_in)
        return _only(found)
    local = {each.name: each for each in _local(folder) if each.kind == kind}
    _refuse_built_in(list(local.values()), built_in)
    if name in local:
        return local[name]
    raise InputError(_describe_missing(kind, name, folder, [*built_in, *installed(kind), *local]), field=name)


def extension_names(kind: Kind) -> list[str]:
    """Of installed packages and tuneship.toml; raises InputError."""
    return sorted({*installed(kind), *(each.name for each in _local(Path.cwd()) if each.kind == kind)})


@cache
def installed(kind: Kind) -> dict[str, list[Extension]]:
    """By name. What is installed stays the same while a program runs."""
    found: dict[str, list[Extension]] = {}
    for point in entry_points(group=f"{ENTRY_POINTS}{kind}"):
        found.setdefault(point.name, []).append(_of_package(kind, point))
    return found


def _of_package(kind: Kind, point: EntryPoint) -> Extension:
    name, version = (point.dist.name, point.dist.version) if point.dist else ("a package without metadata", "")
    return Extension(kind, point.name, point.value.replace(" ", ""), name, version)


def _local(folder: Path) -> list[Extension]:
    """Read again whenever the file has changed: a notebook's user edits it."""
    try:
        changed = (folder / LOCAL).stat().st_mtime_ns
    except OSError:
        return []
    return _read_local(folder, changed)


@cache
def _read_local(folder: Path, _changed: int) -> list[Extension]:
    return read_local(folder)


def _only(found: Sequence[Extension]) -> Extension:
    """A package that is installed twice, as in a checkout beside an older version, is found twice."""
    if len({(each.distribution, each.target) for each in found}) > 1:
        several = " and ".join(sorted({f"{each.distribution} {each.version}" for each in found}))
        raise InputError(f"{found[0].key}: {several} both register it; uninstall one of them", field=found[0].key)
    return found[0]


def _refuse_built_in(found: Sequence[Extension], built_in: Collection[str]) -> None:
    for each in found:
        if each.name in built_in:
            raise InputError(f"{each}: Tuneship has a {each.name} of its own; give yours another name", field=each.key)


def _describe_missing(kind: Kind, name: str, folder: Path, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    there = "has none of that name" if (folder / LOCAL).is_file() else "is not there"
    return (
        f"{kind}.{name}: no installed package registers it, and {folder / LOCAL} {there}{hint} Known are:"
        f" {', '.join(sorted(known)) or 'none'}"
    )
