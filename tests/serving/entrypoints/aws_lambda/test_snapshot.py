"""Two environments that are restored from one snapshot draw different numbers, ids and keys.

A snapshot is played by forked processes: both have all of the memory of the process that started the function.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import json
import os
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.entrypoints.asgi_client import Call, send
from serving.entrypoints.aws_lambda.function import Function
from serving.entrypoints.aws_lambda.snapshot import renew
from serving.settings.access import AccessPolicy
from serving.settings.settings import ServerSettings
from tests.paths import ROOT

DRAWN_FROM_THE_SYSTEM = {
    "serving/observability/request_ids.py": "secrets",  # kept as a prefix: renewed
    "serving/observability/tracing.py": "uuid4",  # kept as the instance's id: renewed
    "serving/entrypoints/aws_lambda/snapshot.py": "random, urandom",
    "serving/inference/generation/generate.py": "secrets, Philox",  # a seed of its own for each request
    "serving/explain/attribution.py": "default_rng",  # of the request's seed
    "serving/files.py": "secrets",  # a name for a moment
    "serving/protocols/classify.py": "uuid4",  # for each answer
    "serving/protocols/openai_generation/sampling.py": "uuid4",
    "serving/protocols/rerank.py": "uuid4",
}
"""Every file of serving that draws a random number, and by what; a new one asks: is it kept, and renewed?"""

SOURCES = {
    "random",
    "secrets",
    "uuid1",
    "uuid4",
    "urandom",
    "default_rng",
    "Philox",
    "PCG64",
    "RandomState",
    "getrandbits",
}
KEY = "snapshot-key-0123456789"


@pytest.fixture(scope="module")
def function(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    """A started function with traces and a file of keys, as the snapshot has it."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(KEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        policy = AccessPolicy(api_keys_file=file)
        function = Function(ServerSettings(bundle=tiny_bundle, traces=True, access_policy=policy))
        yield function
        function.close()


def drawn(function: Function) -> dict[str, Any]:
    """What an environment shows of its random numbers and ids."""
    reply = asyncio.new_event_loop().run_until_complete(send(Call("GET", "/livez"), function.app))
    tracing = function.app.observers._tracing
    assert tracing is not None
    span = tracing._tracer.start_span("a")
    return {
        "request id": reply.headers["x-request-id"],
        "trace id": span.get_span_context().trace_id,
        "instance": tracing._provider.resource.attributes["service.instance.id"],
        "random": random.getrandbits(64),
        "uuid": str(uuid.uuid4()),
    }


def restore(function: Function, state: Any, *, hooks: bool) -> dict[str, Any]:
    """What another environment, restored from this process as it is now, shows."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        random.setstate(state)  # Python itself seeds anew after a fork, which a restored machine does not see
        if hooks:
            renew(function.app)
        os.write(writing, json.dumps(drawn(function)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        shown: dict[str, Any] = json.loads(pipe.read())
    os.waitpid(child, 0)
    return shown


@pytest.mark.slow
def test_two_restores_differ(function: Function) -> None:
    """In everything; without the hooks in nothing but what the system draws."""
    state = random.getstate()
    twins = [restore(function, state, hooks=False) for _ in range(2)]
    assert {name for name in twins[0] if twins[0][name] == twins[1][name]} >= {"request id", "trace id", "random"}
    first, second = (restore(function, state, hooks=True) for _ in range(2))
    assert [name for name in first if first[name] == second[name]] == []
    assert [name for name in first if first[name] == twins[0][name]] == []


@pytest.mark.slow
def test_every_source_is_known() -> None:
    """No file of serving draws random numbers but those above, by those means."""
    found = {}
    for path in sorted((ROOT / "serving").rglob("*.py")):
        names = {
            name
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [node.attr] if isinstance(node, ast.Attribute) and node.attr != "random"  # numpy's module
                else [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom))
                else []
            )
        } & SOURCES  # fmt: skip
        if names:
            found[str(path.relative_to(ROOT))] = names
    assert found == {path: set(names.split(", ")) for path, names in DRAWN_FROM_THE_SYSTEM.items()}


@pytest.mark.slow
def test_no_generator_is_kept(function: Function) -> None:
    """The started function holds no generator of random numbers, but for Python's own, which is seeded anew."""
    ours = [each for each in gc.get_objects() if isinstance(each, (np.random.Generator, np.random.BitGenerator))]
    before = {id(each) for each in ours}
    asyncio.new_event_loop().run_until_complete(send(Call("GET", "/livez"), function.app))
    kept = [
        each for each in gc.get_objects() if isinstance(each, (np.random.Generator, np.random.BitGenerator))
    ]  # fmt: skip
    assert {id(each) for each in kept} <= before
    state = random.getstate()
    renew(function.app)
    assert random.getstate() != state


def test_withdrawn_keys(function: Function) -> None:
    """A key that was withdrawn since the snapshot opens nothing after a restore."""
    keys = function.app.server_state.keys
    assert keys is not None
    assert keys.accept(KEY.encode())
    file = keys._file
    assert file is not None
    file.write_text("another-key-0123456789")
    assert keys.accept(KEY.encode())  # it looks every five seconds
    renew(function.app)
    assert not keys.accept(KEY.encode())
    file.write_text(KEY)
    renew(function.app)


def test_counters_start_at_zero(function: Function) -> None:
    """No request is counted before the snapshot."""
    page = asyncio.new_event_loop().run_until_complete(
        send(Call("GET", "/metrics", headers={"x-api-key": KEY}), function.app)
    )
    assert 'route="/predict"' not in page.body.decode()


@pytest.mark.slow
def test_openssl_is_seeded_anew(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the system draws now."""
    import ssl

    seeds: list[bytes] = []
    monkeypatch.setattr(ssl, "RAND_add", lambda seed, entropy: seeds.append(seed))
    renew(function.app)
    renew(function.app)
    assert len({*seeds}) == 2
