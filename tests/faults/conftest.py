"""The rows that ordinary callers ask while something goes wrong, and the servers that it happens to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.inference.predictor import Predictor
from tests.faults.callers import Rows
from tests.serving.processes import ServerProcess, serving


@pytest.fixture(scope="session")
def rows(tiny_bundle: Path) -> Rows:
    """The texts of the golden answers, some of them long, each with its answer."""
    predictor = Predictor.open(tiny_bundle)
    texts = [row.inputs for row in predictor.bundle.golden]
    texts += [text * 9 for text in texts[:4]]
    return [(text, [answer]) for text, answer in zip(texts, predictor.predict(texts), strict=True)]


@pytest.fixture(scope="session")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A `tuneship serve` process that one test after another attacks."""
    with serving(tiny_bundle, folder=tmp_path_factory.mktemp("server")) as process:
        yield process
