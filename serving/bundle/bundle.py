"""A bundle: a folder with everything that a server needs, and its proof."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, Self

from pydantic import ValidationError

from serving.bundle.external_data import check_external_tensors, data_files
from serving.bundle.manifest import MANIFEST, REFERENCE, SIGNATURE, GoldenRow, GraphSpec, Manifest, Reference
from serving.errors import BundleError, first_problem
from serving.files import read_regular

MOST_MANIFEST_BYTES = 64 * 2**20


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class GraphFile:
    """An ONNX file, and by name the files that its tensors are in."""

    name: str
    content: bytes
    data: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_external_tensors(self.content, self.name, {name: len(each) for name, each in self.data.items()})


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, whose manifest and files were checked."""

    root: Path
    manifest: Manifest

    @classmethod
    def open(cls, root: Path) -> Self:
        """Check the manifest and every file; raises BundleError."""
        bundle = cls(root, read_manifest(root))
        bundle.check_files()
        return bundle

    @property
    def alternatives(self) -> list[Self]:
        """The bundle with each fallback as its first variant."""
        parts = [dict(each) for each in self.manifest.fallbacks]
        return [dataclasses.replace(self, manifest=self.manifest.model_copy(update=part)) for part in parts]

    @property
    def digest(self) -> str:
        return self.manifest.digest

    def read(self, name: str) -> bytes:
        """A file's bytes, checked again; raises BundleError."""
        data = self._path(name).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.manifest.files[name].sha256:
            raise BundleError(self._describe_alteration(name))
        return data

    def read_graph(self, name: str) -> GraphFile:
        """A graph and those files of ``graph.data`` that its tensors are in, checked again; raises BundleError."""
        content = self.read(name)
        used = data_files(content, name)
        return GraphFile(name, content, {each: self.read(each) for each in self.manifest.graph.data if each in used})

    @cached_property
    def golden(self) -> list[GoldenRow]:
        """The recorded answers; raises BundleError if their number or form is wrong."""
        spec = self.manifest.golden
        lines = self.read(spec.file).splitlines()
        if len(lines) != spec.rows:
            raise BundleError(f"{spec.file} has {len(lines)} rows; {MANIFEST} tells of {spec.rows}.")
        return [self._golden_row(number, line) for number, line in enumerate(lines, 1)]

    @cached_property
    def reference(self) -> Reference | None:
        """The baseline of drift, if the bundle has one; raises BundleError."""
        if REFERENCE not in self.manifest.files:
            return None
        try:
            return Reference.model_validate_json(self.read(REFERENCE))
        except ValidationError as error:
            message = f"{REFERENCE} is not a reference for drift: {first_problem(error)}. Export the bundle again."
            raise BundleError(message) from error

    def _golden_row(self, number: int, line: bytes) -> GoldenRow:
        where = f"{self.manifest.golden.file}, row {number}"
        try:
            return GoldenRow.model_validate_json(line)
        except ValidationError as error:
            raise BundleError(
                f"{where} is not a recorded answer: {first_problem(error)}. Export the bundle again."
            ) from error

    def check_files(self) -> None:
        """Raise BundleError for a file that is missing, added or altered, or a graph that keeps tensors in others."""
        self._check_names()
        for name, entry in self.manifest.files.items():
            path = self._path(name)
            if path.stat().st_size != entry.size or sha256_of(path) != entry.sha256:
                raise BundleError(self._describe_alteration(name))
        for graph in (self.manifest.graph, *(each.graph for each in self.manifest.fallbacks)):
            for name in graph.files:
                with self._path(name).open("rb") as stream:
                    check_external_tensors(_map(stream), name, self._sizes(graph))

    def _sizes(self, graph: GraphSpec) -> dict[str, int]:
        return {name: self._path(name).stat().st_size for name in graph.data}

    def _check_names(self) -> None:
        for name in self.manifest.files:
            self._path(name)
        paths = (path for path in self.root.rglob("*") if path.is_symlink() or not path.is_dir())
        present = {path.relative_to(self.root).as_posix() for path in paths}
        named = {MANIFEST, *self.manifest.files}
        if missing := sorted(named - present):
            raise BundleError(f"{self.root}: {missing[0]} is missing. Export the bundle again or copy it whole.")
        if (self.root / SIGNATURE).is_symlink():
            raise BundleError(f"{self.root}: {SIGNATURE} is a link. Copy the signature itself.")
        if extra := sorted(present - named - {SIGNATURE}):
            raise BundleError(
                f"{self.root}: {extra[0]} is not named in {MANIFEST}. Remove it or export the bundle again."
            )

    def _path(self, name: str) -> Path:
        path = self.root / name
        if name not in self.manifest.files or path.is_symlink() or self.root.resolve() not in path.resolve().parents:
            raise BundleError(f"{self.root}: {name} is not a plain file inside the bundle that {MANIFEST} names.")
        return path

    def _describe_alteration(self, name: str) -> str:
        return (
            f"{self.root}: {name} was altered: its size or sha256 is not the one in {MANIFEST}. "
            "Export the bundle again or copy it anew."
        )


def _map(stream: BinaryIO) -> bytes | mmap:
    """Closed with its last reader; an empty file cannot be mapped."""
    size = os.fstat(stream.fileno()).st_size
    return mmap(stream.fileno(), size, access=ACCESS_READ) if size else b""


def read_manifest(root: Path) -> Manifest:
    """The manifest, with files unchecked; raises BundleError."""
    path = root / MANIFEST
    if not root.exists():
        raise BundleError(f"there is no folder {root}. Make a bundle: tuneship export RUN --output BUNDLE")
    if not path.is_file():
        raise BundleError(
            f"{root} is not a bundle: it has no {MANIFEST}. Make one: tuneship export RUN --output BUNDLE"
        )
    if path.is_symlink():
        raise BundleError(f"{root}: {MANIFEST} is a link. Copy the manifest itself.")
    try:
        return Manifest.from_bytes(read_regular(path, MOST_MANIFEST_BYTES))
    except OSError as error:
        raise BundleError(f"{root}: {MANIFEST} cannot be read: {error.strerror}.") from error
