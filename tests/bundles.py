"""Bundles for every room's tests: two real ones, proven once a session, and a way to forge others."""

from __future__ import annotations

import functools
import io
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest

from serving.bundle.bundle import sha256_of
from serving.bundle.manifest import MANIFEST, SIGNATURE, FileEntry, Manifest
from tests.sharing import made_once
from tests.tiny_generators import BACKBONES
from tests.toys import write_toy

if TYPE_CHECKING:
    from trainer.run.run import Run


@pytest.fixture(scope="session")
def tiny_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven fp32 bundle of the tiny run; read it, never write into it."""
    return _exported_once(tmp_path_factory, "tiny-fp32", _run_of(request), "fp32")


@pytest.fixture(scope="session")
def tiny_dynamic_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven int8-dynamic bundle of the tiny run; read it, never write into it."""
    return _exported_once(tmp_path_factory, "tiny-dynamic", _run_of(request), "int8-dynamic")


@pytest.fixture(scope="session")
def tiny_int8_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven int8 bundle of the tiny run; read it, never write into it."""
    return _exported_once(tmp_path_factory, "tiny-int8", _run_of(request), "int8")


@pytest.fixture(scope="session")
def tiny_fallback_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proven bundle of the tiny run, int8 with fp32 to fall back on; read it, never write into it."""
    return _exported_once(tmp_path_factory, "tiny-both", _run_of(request), "int8", fallback=True)


@pytest.fixture(scope="session")
def tiny_split_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `tiny_fallback_bundle`, with the graphs' tensors in data files; read it, never write into it."""
    return _exported_once(tmp_path_factory, "tiny-split", _run_of(request), "int8", fallback=True, max_bytes=0)


@pytest.fixture(scope="session")
def task_run(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Gives the finished run of a toy (`tests.toys`), trained when it is first asked for; never write into it."""
    from trainer.run.run import Run

    def made(toy: str, folder: Path) -> None:
        if toy in BACKBONES:
            _train(toy, BACKBONES[toy](folder / "backbone"), folder, training={"num_train_epochs": 3})
        else:
            _train(toy, tiny_backbone, folder)

    @functools.cache
    def run_of(toy: str) -> Run:
        return Run.open(made_once(tmp_path_factory, f"run-{_file_name(toy)}", partial(made, toy)) / "run")

    return run_of


@pytest.fixture(scope="session")
def task_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the proven fp32 bundle of a toy (`tests.toys`), made when it is first asked for; never write into it."""

    @functools.cache
    def bundle_of(toy: str) -> Path:
        name = _file_name(toy)
        return _exported_once(tmp_path_factory, name, lambda: request.getfixturevalue("task_run")(toy), "fp32")

    return bundle_of


def _run_of(request: pytest.FixtureRequest) -> Callable[[], Run]:
    return lambda: cast("Run", request.getfixturevalue("tiny_run"))


def _exported_once(
    factory: pytest.TempPathFactory, name: str, run: Callable[[], Run], variant: str, **options: Any
) -> Path:
    """The bundle is named as its folder is. The run is asked for where the bundle is not there yet."""

    def make(folder: Path) -> Path:
        return _export(run(), folder / name, variant, **options)

    return made_once(factory, f"bundle-{name}", make) / name


def _file_name(toy: str) -> str:
    return toy.replace(" ", "-")


def _train(toy: str, backbone: Path, folder: Path, **sections: Any) -> Run:
    from rich.console import Console

    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    recipe = load_recipe(write_toy(folder, backbone, toy, **sections))
    return train(recipe, folder / "run", console=Console(file=io.StringIO()))


def _export(run: Run, output: Path, variant: str, **options: Any) -> Path:
    from export.exporter import export_run

    with mock.patch("export.proof.answers.hard_strings.STRINGS", 300):
        return export_run(run, output, variant, **options).bundle


def manifest_of(bundle: Path) -> Manifest:
    """The manifest of a sound bundle."""
    return Manifest.from_bytes((bundle / MANIFEST).read_bytes())


def scale_logits(bundle: Path, factor: float) -> bytes:
    """The bundle's graph, over- or under-confident by a factor."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(bundle / "model.onnx")
    for node in model.graph.node:
        node.output[:] = ["own" if name == "logits" else name for name in node.output]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(factor), "factor"))
    model.graph.node.append(helper.make_node("Mul", ["own", "factor"], ["logits"]))
    return bytes(model.SerializeToString())


def endless_graph(bundle: Path) -> bytes:
    """The bundle's graph with a loop before its logits that never ends."""
    import onnx
    from onnx import TensorProto, helper

    def value(name: str, kind: int = TensorProto.FLOAT, shape: list[int] | None = None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    ins = [value("turn", TensorProto.INT64, []), value("more", TensorProto.BOOL, []), value("state")]
    nodes = [helper.make_node("Identity", [name], [f"{name}_next"]) for name in ("more", "state")]
    body = helper.make_graph(nodes, "body", ins, [value("more_next", TensorProto.BOOL, []), value("state_next")])
    model = onnx.load(bundle / "model.onnx")
    for node in model.graph.node:
        node.output[:] = ["own" if name == "logits" else name for name in node.output]
    model.graph.initializer.append(helper.make_tensor("always", TensorProto.BOOL, [], [1]))
    model.graph.node.append(helper.make_node("Loop", ["", "always", "own"], ["logits"], body=body))
    return bytes(model.SerializeToString())


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
    toy: str,
    backbone: Path,
    folder: Path,
    model_head: Mapping[str, Any] | None = None,
    variant: str = "fp32",
    **training: Any,
) -> Path:
    """A proven bundle of a toy on a base model, trained as told."""
    run = _train(toy, backbone, folder, training=training, model_head=model_head or {})
    return _export(run, folder / "bundle", variant)


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
    (bundle / MANIFEST).write_bytes(manifest.model_copy(update={"files": entries}).seal().to_bytes())
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
