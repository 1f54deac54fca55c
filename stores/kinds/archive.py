"""One archive of all files, ``….tar.gz`` wherever fsspec reaches: SageMaker takes a model as ``s3://…/model.tar.gz``."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from serving.bundle.manifest import MANIFEST
from serving.files import open_regular
from stores.errors import Missing, readable
from stores.kinds import paths
from stores.kinds.paths import BYTES_AT_ONCE
from stores.targets import Target

ENDING = ".tar.gz"


@dataclass(frozen=True)
class Archive:
    """It has no versions: a push replaces all of it at once."""

    target: Target
    files: Any
    path: str
    versioned: bool = False

    def snapshot(self) -> Unpacked:
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the snapshot's
        with readable(self.target, explain), self.files.open(self.path, "rb", cache_type="none") as file:
            shutil.copyfileobj(file, copy, BYTES_AT_ONCE)
        copy.seek(0)
        with readable(self.target, explain):
            return Unpacked(self.target, tarfile.open(fileobj=copy, mode="r:gz"))

    def write(self, folder: Path, names: Sequence[str], stale: Sequence[str]) -> None:
        with readable(self.target, explain), tempfile.TemporaryDirectory() as aside:
            packed = Path(aside) / "packed"
            pack(folder, names, packed)
            paths.put_whole(self.files, packed, self.path)


@dataclass(frozen=True)
class Unpacked:
    """Files by name; links, devices and folders are passed over. Read them in their order: the archive is a stream."""

    target: Target
    archive: tarfile.TarFile

    @cached_property
    def members(self) -> Mapping[str, tarfile.TarInfo]:
        with readable(self.target, explain):
            return {each.name.removeprefix("./"): each for each in self.archive if each.isreg()}

    def sizes(self) -> Mapping[str, int]:
        return {name: member.size for name, member in self.members.items()}

    @contextmanager
    def read(self, name: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        if name not in self.members:
            raise Missing(f"{self.target}: has no file {name}")
        with readable(self.target, explain):
            file = self.archive.extractfile(self.members[name])
            assert file is not None  # a regular file's
            file.seek(start)
            yield iter(lambda: file.read(BYTES_AT_ONCE), b"")


def pack(folder: Path, names: Sequence[str], output: Path) -> None:
    """The same bytes for the same files: no times, no owners, sorted, the manifest first."""
    with (
        output.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(names, key=lambda name: (name != MANIFEST, name)):
            member = tarfile.TarInfo(name)
            with open_regular(folder / name, follow=False) as file:
                member.size = (folder / name).stat().st_size
                archive.addfile(member, file)


def open_store(target: Target) -> Archive:
    """Raises as `paths.open_store`."""
    place = paths.open_store(target)
    return Archive(target, place.files, place.root)


def explain(error: Exception) -> str | None:
    if isinstance(error, tarfile.TarError | gzip.BadGzipFile | zlib.error | EOFError):
        return f"is no whole {ENDING} archive ({error}); push the bundle again"
    return paths.explain(error)
