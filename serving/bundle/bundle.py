"""A bundle: a folder with everything that a server needs, and its proof."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from serving.bundle.external_data import check_external_tensors, data_files
from serving.bundle.manifest import (
    CARD,
    MANIFEST,
    REFERENCE,
    SIGNATURE,
    GoldenRow,
    GraphSpec,
    Manifest,
    Provider,
    Reference,
)
from serving.errors import BundleError, first_problem
from serving.files import nearest_path, open_regular, read_regular

MOST_MANIFEST_BYTES = 64 * 2**20

MOST_BYTES_AT_ONCE = 2**31 - 1
"""Of a file that is read whole, unless it has a graph's tensors: protobuf's limit."""


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class GraphFile:
    """An ONNX file, by name the files that its tensors are in, and where it runs.

    ``path``, in place of content and data: a file that this process wrote, and that onnxruntime reads itself.
    """

    name: str
    content: bytes
    data: Mapping[str, bytes] = field(default_factory=dict)
    provider: Provider = "cpu"
    path: Path | None = None

    def __post_init__(self) -> None:
        check_external_tensors(self.content, self.name, {name: len(each) for name, each in self.data.items()})


BENTOML = "model.yaml"
"""What BentoML's store of models has beside a bundle; no bundle's file, and never read here."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle, whose manifest and files were checked.

    ``kept`` has the files that are read while it serves: its folder may be replaced or removed meanwhile.
    """

    root: Path
    manifest: Manifest
    kept: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, root: Path) -> Self:
        """Check the manifest and every file; raises BundleError."""
        bundle = cls(root, read_manifest(root))
        return dataclasses.replace(bundle, kept=bundle.check_files())

    @property
    def alternatives(self) -> list[Self]:
        """The bundle with each fallback as its first variant."""
        parts = [dict(each) for each in self.manifest.fallbacks]
        return [dataclasses.replace(self, manifest=self.manifest.model_copy(update=part)) for part in parts]

    @property
    def digest(self) -> str:
        return self.manifest.digest

    def read(self, name: str) -> bytes:
        """A file's bytes, those that were checked, or checked again; raises BundleError."""
        if name in self.kept:
            return self.kept[name]
        with self._open(name) as file:
            size = self.manifest.files[name].size
            if size > MOST_BYTES_AT_ONCE and name not in self.manifest.graph.data:
                raise BundleError(f"{self.root}: {name} has {size:,} bytes, more than a file of its kind can have.")
            data = file.read(size)
            if file.read(1) or hashlib.sha256(data).hexdigest() != self.manifest.files[name].sha256:
                raise BundleError(self._describe_alteration(name))
        return data

    def read_graph(self, name: str) -> GraphFile:
        """A graph and those files of ``graph.data`` that its tensors are in, checked again; raises BundleError."""
        content = self.read(name)
        graph = self.manifest.graph
        used = data_files(content, name) if graph.data else ()  # else `open` has found no tensor outside
        return GraphFile(name, content, {each: self.read(each) for each in graph.data if each in used}, graph.provider)

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

    def check_files(self) -> dict[str, bytes]:
        """The files to keep.

        Raises BundleError for a file that is missing, added or altered, or a graph that keeps tensors in others.
        """
        self._check_names()
        kept, graphs = {}, self._graphs()
        for name in self.manifest.files:
            if name in graphs:
                content = self.read(name)
                for graph in graphs[name]:
                    check_external_tensors(content, name, self._sizes(graph))
            elif name in (CARD, REFERENCE):
                kept[name] = self.read(name)
            else:
                self._check_hash(name)
        return kept

    def _graphs(self) -> dict[str, list[GraphSpec]]:
        """By the name of an ONNX file, the graphs that it is of."""
        found: dict[str, list[GraphSpec]] = {}
        for graph in (self.manifest.graph, *(each.graph for each in self.manifest.fallbacks)):
            for name in graph.files:
                self._path(name)
                found.setdefault(name, []).append(graph)
        return found

    def _sizes(self, graph: GraphSpec) -> dict[str, int]:
        for name in graph.data:
            self._path(name)
        return {name: self.manifest.files[name].size for name in graph.data}

    def _check_hash(self, name: str) -> None:
        with self._open(name) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.manifest.files[name].sha256:
                raise BundleError(self._describe_alteration(name))

    @contextmanager
    def _open(self, name: str) -> Iterator[BufferedReader]:
        """A file of the manifest's size; raises BundleError."""
        try:
            with open_regular(self._path(name), follow=False) as file:
                if os.fstat(file.fileno()).st_size != self.manifest.files[name].size:
                    raise BundleError(self._describe_alteration(name))
                yield file
        except OSError as error:
            raise BundleError(f"{self.root}: {name} cannot be read: {error.strerror}.") from error

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
        if extra := sorted(present - named - {SIGNATURE, BENTOML}):
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


def read_manifest(root: Path) -> Manifest:
    """The manifest, with files unchecked; raises BundleError."""
    path = root / MANIFEST
    if not root.exists():
        made = "Make a bundle: tuneship export RUN --output BUNDLE"
        raise BundleError(f"there is no folder {root}. {made}{nearest_path(root)}")
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
