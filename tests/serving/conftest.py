"""The served parts over the tests' bundles, made once a session: predictors, texts, apps with a client, servers."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from starlette.testclient import TestClient

from deploy.measurement.process import free_port
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.tasks.text_classification import TextClassification
from tests.serving.processes import ServerProcess, python, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.serving.http.page.browser import Visit

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
def dynamic_predictor(tiny_dynamic_bundle: Path) -> Predictor:
    """The int8-dynamic bundle, loaded: its rows are run alone."""
    return Predictor.open(tiny_dynamic_bundle)


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


@pytest.fixture(scope="session")
def task_predictor(task_bundle: Callable[[str], Path]) -> Callable[[str], Predictor]:
    """Gives the loaded bundle of a toy (`tests.toys.TOYS`)."""

    @functools.cache
    def predictor_of(toy: str) -> Predictor:
        return Predictor.open(task_bundle(toy))

    return predictor_of


@pytest.fixture(scope="session")
def task_client(task_bundle: Callable[[str], Path]) -> Iterator[Callable[[str], TestClient]]:
    """Gives a client of the app over the bundle of a toy, its lifespan run."""
    with ExitStack() as stack:

        @functools.cache
        def client_of(toy: str) -> TestClient:
            return stack.enter_context(TestClient(create_app(lambda: Predictor.open(task_bundle(toy)))))

        yield client_of


@pytest.fixture(scope="session")
def task_server(
    task_bundle: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], ServerProcess]]:
    """Gives a real `tuneship serve` process over the bundle of a toy."""
    with ExitStack() as stack:

        @functools.cache
        def server_of(toy: str) -> ServerProcess:
            port, log = free_port(), tmp_path_factory.mktemp("server") / "log.txt"
            command = python("-m", "tuneship", "serve", task_bundle(toy), "--port", port)
            return stack.enter_context(running(command, port, log))

        yield server_of


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a file; every test has a context of its own."""
    from tests.serving.http.page.browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, server: ServerProcess) -> Iterator[Visit]:
    """A visit to the server over the tiny classifier."""
    from tests.serving.http.page.browser import visiting

    with visiting(browser, server.url) as visit:
        yield visit
