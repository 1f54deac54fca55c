"""``tuneship.toml``: extensions of the working directory, for what is not worth a package.

It is the user's own code, as ``conftest.py`` is: read in the working directory alone, and only where a name is asked
for that no installed package registers.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from serving.errors import InputError, quote
from serving.extensions.extension import LOCAL, Extension
from serving.extensions.kinds import KINDS, NAME, TARGET, Kind
from serving.files import read_regular

MOST_BYTES = 2**18
FOREIGN = ("manifest.json", "run.json")
"""In a bundle's or a run's folder, which others may have written."""
TABLE = "extensions"


def read_local(folder: Path) -> list[Extension]:
    """Those of the folder's file, if it has one; raises InputError that names the wrong key."""
    path = folder / LOCAL
    try:
        content = tomllib.loads(read_regular(path, MOST_BYTES).decode("utf-8"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8 or not TOML
        raise InputError(f"{path}: is not valid TOML: {error}") from None
    if foreign := next((name for name in FOREIGN if (folder / name).exists()), None):
        raise InputError(
            f"{path}: lies in the folder of a bundle or a run ({foreign}), of which nothing is executed; start the"
            " command in another folder"
        )
    if unknown := sorted(content.keys() - {TABLE}):
        raise InputError(f"{path}: {unknown[0]}: unknown table; accepted is [{TABLE}]")
    return [
        Extension(_kind(path, kind), _name(path, kind, name), _target(path, kind, name, target), LOCAL, folder=folder)
        for kind, table in _mapping(path, TABLE, content.get(TABLE, {})).items()
        for name, target in _mapping(path, f"{TABLE}.{kind}", table).items()
    ]


def _mapping(path: Path, key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f'{path}: {key}: is {quote(value)}; a table is needed, as in metrics.f2 = "module:f2"')
    return value


def _kind(path: Path, kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    near = difflib.get_close_matches(kind, KINDS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InputError(f"{path}: {TABLE}.{kind}: unknown kind; {hint}accepted are {', '.join(KINDS)}")


def _name(path: Path, kind: str, name: str) -> str:
    if not NAME.fullmatch(name):
        raise InputError(f"{path}: {TABLE}.{kind}: {quote(name)} is no name; letters, digits, - and _ are accepted")
    return name


def _target(path: Path, kind: str, name: str, target: Any) -> str:
    if not isinstance(target, str) or not TARGET.fullmatch(target):
        raise InputError(f'{path}: {TABLE}.{kind}.{name}: is {quote(target)}; give "package.module:name"')
    return target
