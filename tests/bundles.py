"""Bundles for every room's tests: two real ones, proven once a session, and a way to forge others."""

from __future__ import annotations

import functools
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from serving.bundle import MANIFEST, SIGNATURE, FileEntry, Manifest, sha256_of
from tests.toys import write_toy

if TYPE_CHECKING:
    from trainer.run import Run


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven fp32 bundle of the tiny run; read it, never write into it."""
    return _export(tiny_run, tmp_path_factory.mktemp("fp32") / "bundle", "fp32")


@pytest.fixture(scope="session")
def tiny_dynamic_bundle(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven int8-dynamic bundle of the tiny run; read it, never write into it."""
    return _export(tiny_run, tmp_path_factory.mktemp("dynamic") / "bundle", "int8-dynamic")


@pytest.fixture(scope="session")
def tiny_int8_bundle(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven int8 bundle of the tiny run; read it, never write into it."""
    return _export(tiny_run, tmp_path_factory.mktemp("int8") / "bundle", "int8")


@pytest.fixture(scope="session")
def tiny_fallback_bundle(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven bundle of the tiny run, int8 with fp32 to fall back on; read it, never write into it."""
    from export.pack import export_run

    return export_run(tiny_run, tmp_path_factory.mktemp("both") / "bundle", "int8", fallback=True).bundle


@pytest.fixture(scope="session")
def task_run(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Gives the finished run of a toy (`tests.toys.TOYS`), trained when it is first asked for; never write into it."""

    @functools.cache
    def run_of(toy: str) -> Run:
        return _train(toy, tiny_backbone, tmp_path_factory.mktemp(toy.replace(" ", "-")))

    return run_of


@pytest.fixture(scope="session")
def task_bundle(task_run: Callable[[str], Run], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the proven fp32 bundle of a toy (`tests.toys.TOYS`), made when first asked for; never write into it."""

    @functools.cache
    def bundle_of(toy: str) -> Path:
        return _export(task_run(toy), tmp_path_factory.mktemp("bundle") / toy.replace(" ", "-"), "fp32")

    return bundle_of


def _train(toy: str, backbone: Path, folder: Path) -> Run:
    from rich.console import Console

    from trainer.recipe import load_recipe
    from trainer.train import train

    return train(load_recipe(write_toy(folder, backbone, toy)), folder / "run", console=Console(file=io.StringIO()))


def _export(run: Run, output: Path, variant: str) -> Path:
    from export.pack import export_run

    with mock.patch("export.proof.hard_strings.STRINGS", 300):
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


def trained_bundle(
    toy: str, backbone: Path, folder: Path, model_head: Mapping[str, Any] | None = None, **training: Any
) -> Path:
    """A proven bundle of a toy on a base model, trained as told."""
    from rich.console import Console

    from trainer.recipe import load_recipe
    from trainer.train import train

    recipe = load_recipe(write_toy(folder, backbone, toy, training=training, model_head=model_head or {}))
    return _export(train(recipe, folder / "run", console=Console(file=io.StringIO())), folder / "bundle", "fp32")


def with_limits(source: Path, target: Path, **limits: int) -> Path:
    """A copy of a bundle of texts with other limits, and only those golden rows that they let through."""
    longest = limits.get("max_characters", manifest_of(source).limits.max_characters)
    lines = (source / manifest_of(source).golden.file).read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if len(json.loads(line)["inputs"]) <= longest]
    return forge(source, target, files={"golden.jsonl": b"".join(kept)}, golden={"rows": len(kept)}, limits=limits)


def seal(bundle: Path, manifest: Manifest) -> Path:
    """Write ``manifest`` into ``bundle`` with the sizes and hashes of the files that lie there."""
    paths = sorted(path for path in bundle.iterdir() if path.name not in (MANIFEST, SIGNATURE))
    entries = {path.name: FileEntry(sha256=sha256_of(path), size=path.stat().st_size) for path in paths}
    (bundle / MANIFEST).write_bytes(manifest.model_copy(update={"files": entries}).sealed().to_bytes())
    return bundle


def golden_with(bundle: Path, change: Callable[[dict[str, Any]], None], name: str = "golden.jsonl") -> bytes:
    """A golden file of ``bundle`` with its first row changed in place by ``change``."""
    rows = [json.loads(line) for line in (bundle / name).read_bytes().splitlines()]
    change(rows[0])
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _updated(part: Any, change: Any) -> Any:
    if isinstance(change, Mapping) and hasattr(part, "model_copy"):
        return part.model_copy(update=dict(change))
    return change
