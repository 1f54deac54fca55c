"""schemathesis: requests of every shape that the OpenAPI document describes, and of others, at every endpoint.

An answer may be any that the document describes, but no 500: whatever a caller sends is the caller's mistake.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deploy.measurement.process import free_port
from tests.faults.callers import Rows, ask_all
from tests.faults.results import record, times
from tests.serving.processes import ServerProcess, running, serving

EXAMPLES = times(6, 150)
CHECKED = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip

Started = Callable[[str], ServerProcess]


@pytest.fixture(scope="module")
def started(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Gives the server of a command, started when it is first asked for."""
    with ExitStack() as stack:
        servers: dict[str, ServerProcess] = {}

        def start(command: str) -> ServerProcess:
            folder = tmp_path_factory.mktemp(command)
            if command == "serve":
                return stack.enter_context(serving(tiny_bundle, folder=folder))
            port = free_port()
            bentoml = [str(Path(sys.executable).parent / "bentoml"), "serve", "serving.service:Tuneship"]
            variables = {"TUNESHIP_BUNDLE": tiny_bundle, "BENTOML_HOME": folder, "BENTOML_DO_NOT_TRACK": "True"}
            return stack.enter_context(running([*bentoml, "--port", str(port)], port, folder / "log", **variables))

        yield lambda command: servers.setdefault(command, servers.get(command) or start(command))


def fuzz(operation: Any, mode: GenerationMode, examples: int) -> None:
    """Send so many requests; raises where an answer is not as described."""

    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    @hypothesis.given(operation.as_strategy(mode))
    def send(case: Any) -> None:
        case.call_and_validate(checks=CHECKED)

    send()


def modes_of(operation: Any) -> list[GenerationMode]:
    """Where nothing is to be sent, nothing else can be."""
    takes_something = operation.method == "post" or len(operation.path_parameters)
    return list(GenerationMode) if takes_something else [GenerationMode.POSITIVE]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["serve", "bentoml"])
def test_every_endpoint(command: str, started: Started, rows: Rows) -> None:
    """Requests as the document describes them, and others, at each endpoint; then everybody is answered as before."""
    server = started(command)
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    requests = 0
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        for mode in modes_of(operation):
            fuzz(operation, mode, EXAMPLES)
            requests += EXAMPLES
    tally = ask_all(server.port, rows)
    assert (tally.right, tally.wrong) == (len(rows), [])
    assert "Traceback" not in server.log.read_text()
    where = f"schemathesis, {len(operations)} endpoints of `{'tuneship' if command == 'serve' else command} serve`"
    record(where, requests, "requests", tally, "no 500, no answer that the document does not have")
