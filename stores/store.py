"""What every kind of place can do, and which module does it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from serving.errors import InputError
from serving.observability.progress import track
from stores.errors import StoreError
from stores.targets import OWN, Target

MODULES = {"hf": "hugging_face", "bento": "bento", "oci": "oci", "mlflow": "mlflow_models"}
EXTRAS = {"s3fs": "s3", "gcsfs": "gcs", "mlflow": "mlflow"}
"""By a module that may lack, the extra that brings it."""


class Snapshot(Protocol):
    """What a place has now; where it has versions, one of them, whatever is pushed meanwhile."""

    def sizes(self) -> Mapping[str, int]:
        """Bytes of each file by name, as the place tells; raises Missing, StoreError."""

    def read(self, name: str, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """A file's bytes from ``start`` on; raises Missing, StoreError."""


class Store(Protocol):
    """``versioned``: a push adds a version, and those of before can still be had."""

    versioned: bool

    def snapshot(self) -> Snapshot:
        """Raises Missing where there is none, StoreError."""

    def write(self, folder: Path, names: Sequence[str], stale: Sequence[str]) -> None:
        """Upload files of a folder, the last one last, and remove ``stale`` ones; complete, or invisible.

        Raises StoreError.
        """


def open_store(target: Target) -> Store:
    """Raises InputError for a kind that does not exist, StoreError where its client is not installed."""
    try:
        store: Store = importlib.import_module(f"stores.kinds.{_module(target)}").open_store(target)
    except ImportError as error:
        raise StoreError(f"{target}: {describe_missing(error)}") from error
    return store


def _module(target: Target) -> str:
    if target.kind in OWN:
        return MODULES[target.kind]
    return "archive" if target.name.endswith(".tar.gz") else "paths"


def describe_missing(error: ImportError) -> str:
    """What to install."""
    name = next((name for name in EXTRAS if name in str(error)), error.name or "")
    if extra := EXTRAS.get(name):
        return f"needs the extra {extra}: pip install 'tuneship[{extra}]'"
    return f"needs a package that is not installed: {error}"


def require(condition: bool, target: Target, accepted: str) -> None:
    """Raises InputError."""
    if not condition:
        raise InputError(f"{target}: is no target of this kind; give {accepted}")


def track_files(folder: Path, names: Sequence[str]) -> Iterator[str]:
    """The names of files that are uploaded one after another."""
    sizes = {name: (folder / name).stat().st_size for name in names}
    total = sum(sizes.values())
    return track(f"{total / 1e6:,.1f} MB", names, total, sizes.__getitem__)


def skip(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Without the first bytes, for servers that know no ranges."""
    for chunk in chunks:
        yield chunk[count:]
        count = max(0, count - len(chunk))


def at_most(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The first ``most`` bytes."""
    for chunk in chunks:
        yield chunk[:most]
        most -= len(chunk)
        if most <= 0:
            return
