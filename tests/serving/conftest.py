"""The served parts over the tiny bundles, made once a session: predictors, texts, and the app with a client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from starlette.testclient import TestClient

from bench.process import free_port
from serving.app import create_app
from serving.predictor import Predictor
from serving.tasks.text_classification import TextClassification
from tests.serving.processes import ServerProcess, python, running

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("tuneship", deadline=None)
hypothesis.settings.load_profile("tuneship")


@pytest.fixture(scope="session")
def predictor(tiny_bundle: Path) -> Predictor:
    """The fp32 bundle, loaded."""
    return Predictor.open(tiny_bundle)


@pytest.fixture(scope="session")
def int8_predictor(tiny_int8_bundle: Path) -> Predictor:
    """The int8 bundle, loaded."""
    return Predictor.open(tiny_int8_bundle)


@pytest.fixture(scope="session")
def task(predictor: Predictor) -> TextClassification:
    """The task object of the fp32 bundle."""
    return predictor.task


@pytest.fixture(scope="session")
def texts(tiny_bundle: Path) -> list[str]:
    """Texts of very different lengths, the golden ones and some that are truncated, deliberately unsorted."""
    rows = [json.loads(line)["inputs"] for line in (tiny_bundle / "golden.jsonl").read_bytes().splitlines()]
    return [text for pair in zip(rows, (row * 7 for row in reversed(rows)), strict=True) for text in pair]


@pytest.fixture(scope="session")
def client(tiny_bundle: Path) -> Iterator[TestClient]:
    """A client of the app over the fp32 bundle, its lifespan run."""
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle))) as client:
        yield client


@pytest.fixture(scope="session")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real `tuneship serve` process over the fp32 bundle."""
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log.txt"
    with running(python("-m", "tuneship", "serve", tiny_bundle, "--port", port), port, log) as process:
        yield process
