"""Bundles for every room's tests: two real ones, proven once a session, and a way to forge others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from serving.bundle import MANIFEST, FileEntry, Manifest, sha256_of

if TYPE_CHECKING:
    from trainer.run import Run


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven fp32 bundle of the tiny run; read it, never write into it."""
    return _export(tiny_run, tmp_path_factory.mktemp("fp32") / "bundle", "fp32")


@pytest.fixture(scope="session")
def tiny_int8_bundle(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven int8 bundle of the tiny run; read it, never write into it."""
    return _export(tiny_run, tmp_path_factory.mktemp("int8") / "bundle", "int8")


def _export(run: Run, output: Path, variant: str) -> Path:
    from export.pack import export_run

    return export_run(run, output, variant).bundle


def manifest_of(bundle: Path) -> Manifest:
    """The manifest of a sound bundle."""
    return Manifest.from_bytes((bundle / MANIFEST).read_bytes())


def forge(
    source: Path, target: Path, *, files: Mapping[str, bytes] | None = None, **parts: Mapping[str, Any] | Any
) -> Path:
    """A copy of ``source`` with other files or manifest parts, hashed and sealed anew.

    No check of hashes can find it out: it is what a faulty exporter or a forger would make. A part given as a mapping
    updates the old one (``limits={"max_inputs": 3}``); anything else replaces it.
    """
    shutil.copytree(source, target)
    for name, content in (files or {}).items():
        (target / name).write_bytes(content)
    manifest = manifest_of(source)
    changed = {name: _updated(getattr(manifest, name), part) for name, part in parts.items()}
    return seal(target, manifest.model_copy(update=changed))


def seal(bundle: Path, manifest: Manifest) -> Path:
    """Write ``manifest`` into ``bundle`` with the sizes and hashes of the files that lie there."""
    paths = sorted(path for path in bundle.iterdir() if path.name != MANIFEST)
    entries = {path.name: FileEntry(sha256=sha256_of(path), size=path.stat().st_size) for path in paths}
    (bundle / MANIFEST).write_bytes(manifest.model_copy(update={"files": entries}).sealed().to_bytes())
    return bundle


def golden_with(bundle: Path, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The golden file of ``bundle`` with its first row changed in place by ``change``."""
    rows = [json.loads(line) for line in (bundle / manifest_of(bundle).golden.file).read_bytes().splitlines()]
    change(rows[0])
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _updated(part: Any, change: Any) -> Any:
    if isinstance(change, Mapping) and hasattr(part, "model_copy"):
        return part.model_copy(update=dict(change))
    return change
