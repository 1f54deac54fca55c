"""A new version that hangs or makes a library panic is refused; the old one keeps serving, and the server can stop."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.errors import BundleError
from serving.http.app import create_app
from serving.http.models import sources
from serving.http.models.registry import ServedModel
from serving.http.models.sources import BundleFolder
from serving.inference.predictor import Predictor
from tests.bundles import endless_graph, forge
from tests.serving.http.models.versions import TEXTS, serve, turn
from tests.serving.http.test_app import until


def endless(source: Path, target: Path) -> None:
    """The graph's loop has no end."""
    forge(source, target, files={"model.onnx": endless_graph(source)})


def with_pipe(source: Path, target: Path) -> None:
    """A pipe that nobody writes into is the graph."""
    forge(source, target)
    (target / "model.onnx").unlink()
    os.mkfifo(target / "model.onnx")


def with_tokenizer(**parts: Any) -> Callable[[Path, Path], None]:
    """Some parts of the tokenizer's file are others."""

    def make(source: Path, target: Path) -> None:
        tokenizer = json.loads((source / "tokenizer.json").read_bytes())
        forge(source, target, files={"tokenizer.json": json.dumps({**tokenizer, **parts}).encode()})

    return make


CHARSMAP = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(b"\xff" * 40).decode()}
HOSTILE = {
    "an endless loop": (endless, "did not repeat its golden answers in time"),
    "a pipe": (with_pipe, "model.onnx cannot be read: not a regular file"),
    "a panic while it loads": (with_tokenizer(normalizer=CHARSMAP), "tokenizer.json makes the tokenizers library fail"),
    "a panic on a text": (
        with_tokenizer(pre_tokenizer={"type": "FixedLength", "length": 0}),
        "the tokenizers library failed: chunk size must be non-zero",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_refused(kind: str, versions: Path, tiny_bundle: Path) -> None:
    """It is refused within the limit and the reason told; meanwhile and then the old version answers."""
    make, reason = HOSTILE[kind]
    make(tiny_bundle, versions / "v3")
    app = create_app(BundleFolder(versions / "current", load_seconds=1))

    async def scenario(http: httpx.AsyncClient) -> None:
        turn(versions / "current", "v3")
        reloading = asyncio.create_task(app.server_state.models.reload())
        await asyncio.sleep(0)
        assert (await http.post("/predict", json={"inputs": TEXTS})).status_code == 200
        await asyncio.wait_for(reloading, 60)
        last = (await http.get("/info")).json()["last_reload"]
        assert last["outcome"] == "refused"
        assert reason in last["reason"]
        assert (await http.post("/predict", json={"inputs": TEXTS})).status_code == 200
        turn(versions / "current", "v2")
        await app.server_state.models.reload()
        assert (await http.get("/info")).json()["last_reload"]["outcome"] == "swapped"

    serve(app, scenario)


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "an endless loop"])
def test_not_opened(kind: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """No command opens it: the message says why."""
    make, reason = HOSTILE[kind]
    make(tiny_bundle, tmp_path / "bundle")
    with pytest.raises(BundleError, match=reason):
        Predictor.open(tmp_path / "bundle")


def test_a_load_that_cannot_be_interrupted(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left behind once its time is over."""
    left = threading.Event()
    monkeypatch.setattr(Predictor, "open", lambda *_, **__: left.wait(60))
    monkeypatch.setattr(sources, "LATE", 0.0)
    with pytest.raises(BundleError, match=r"was not loaded within 0\.1 s.*TUNESHIP_LOAD_SECONDS"):
        BundleFolder(tiny_bundle, load_seconds=0.1).open()
    left.set()


def test_the_watch_goes_on(
    versions: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failure of the watch itself is logged, and the next look finds the new version."""
    app, failures = create_app(BundleFolder(versions / "current"), watch=0.02), list[None]()

    async def fails(served: ServedModel) -> None:
        failures.append(None)
        raise MemoryError("no room")

    async def scenario(http: httpx.AsyncClient) -> None:
        old = app.server_state.models.default.model
        with monkeypatch.context() as patch, caplog.at_level(logging.ERROR, "tuneship"):
            patch.setattr(ServedModel, "reload", fails)
            turn(versions / "current", "v2")
            await until(lambda: len(failures) > 0)
        turn(versions / "current", str(versions / "v2"))
        (versions / "v2" / "README.md").touch()
        await until(lambda: app.server_state.models.default.model is not old)
        assert (await http.post("/predict", json={"inputs": TEXTS})).status_code == 200

    serve(app, scenario)
    assert "looking for a new version of" in caplog.text
