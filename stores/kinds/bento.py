"""BentoML's store of models on this machine: ``bento:name[:version]``. Its client reads BENTOML_HOME."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml
from bentoml.exceptions import BentoMLException, NotFound

from serving.files import open_regular
from stores.errors import Missing, readable
from stores.kinds.paths import BYTES_AT_ONCE
from stores.store import require, track_files
from stores.targets import Target

OWN = ("model.yaml",)
"""What BentoML adds."""


@dataclass(frozen=True)
class Version:
    """A version's folder; its custom objects, a pickle, are never read."""

    target: Target
    root: Path

    def sizes(self) -> Mapping[str, int]:
        paths = (path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())
        sizes = {path.relative_to(self.root).as_posix(): path.stat().st_size for path in paths}
        return {name: size for name, size in sizes.items() if name not in OWN}

    @contextmanager
    def read(self, name: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        with readable(self.target, explain), open_regular(self.root / name, follow=False) as file:
            file.seek(start)
            yield iter(lambda: file.read(BYTES_AT_ONCE), b"")


@dataclass(frozen=True)
class ModelStore:
    """Without a version the latest is read, and a push makes a new one."""

    target: Target

    @property
    def versioned(self) -> bool:
        return ":" not in self.target.name

    def snapshot(self) -> Version:
        with readable(self.target, explain):
            try:
                model = bentoml.models.get(self.target.name)
            except NotFound as error:
                raise Missing(f"{self.target}: {error}; see bentoml models list") from None
            exact = self.versioned or str(model.tag) == self.target.name
            if not exact:  # BentoML takes the beginning of a version too
                raise Missing(f"{self.target}: there is no such version; did you mean bento:{model.tag}?")
            return Version(self.target, Path(model.path))

    def write(self, folder: Path, names: Sequence[str], stale: Sequence[str]) -> None:
        """``stale`` goes with the old version."""
        with readable(self.target, explain):
            if not self.versioned and bentoml.models.list(self.target.name):
                bentoml.models.delete(self.target.name)
            with bentoml.models.create(self.target.name, labels={"project": "tuneship"}) as model:
                for name in track_files(folder, names):
                    path = Path(model.path) / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / name, path, follow_symlinks=False)


def open_store(target: Target) -> ModelStore:
    try:
        tag = bentoml.Tag.from_taglike(target.name)
    except (BentoMLException, ValueError):
        tag = None
    require(tag is not None and tag.version != "latest", target, "bento:NAME, or bento:NAME:VERSION")
    return ModelStore(target)


def explain(error: Exception) -> str | None:
    return str(error) if isinstance(error, BentoMLException) else None
