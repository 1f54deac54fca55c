"""Every limit in ``/info`` and the OpenAPI document is exactly what the server enforces."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tokenizers import Encoding

from serving.batching.batch_shape import QueueLimits
from serving.bundle.bundle import Bundle
from serving.explain.parameters import LIMITS
from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.settings.limits import ServerLimits
from serving.tasks.base import Logits
from tests.bundles import with_limits

JSON = {"content-type": "application/json"}


class Stoppable(Predictor):
    """A predictor whose engine waits where a test says so."""

    wait: Callable[[], None] = staticmethod(lambda: None)

    def run_batch(self, windows: Sequence[Encoding], length: int = 0) -> list[Logits]:
        """The real logits, later."""
        self.wait()
        return super().run_batch(windows, length)


@pytest.fixture(scope="module")
def limited(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An app whose every limit a test can reach."""
    folder = tmp_path_factory.mktemp("limited") / "bundle"
    bundle = with_limits(tiny_bundle, folder, max_inputs=4, max_characters=600, max_body_bytes=3000)
    server_limits = ServerLimits(QueueLimits(rows=3, tokens=60), wait_seconds=0.3, body_seconds=0.1)
    with TestClient(create_app(lambda: Stoppable(Bundle.open(bundle)), server_limits=server_limits)) as client:
        yield client


@pytest.fixture(scope="module")
def limits(limited: TestClient) -> dict[str, Any]:
    """What the server tells."""
    return limited.get("/info").json()["limits"]  # type: ignore[no-any-return]


def status(client: TestClient, inputs: Any, **parameters: Any) -> int:
    """Of an answer."""
    return client.post("/predict", json={"inputs": inputs, "parameters": parameters}).status_code


def test_same_limits_in_both(limited: TestClient, limits: dict[str, Any]) -> None:
    """The document, a model's own too, has /info's limits, and its schemas those that schemas can express."""
    document = limited.get("/openapi.json").json()
    name = limited.get("/info").json()["served_as"]
    assert document["x-limits"] == limited.get(f"/models/{name}/openapi.json").json()["x-limits"] == limits
    one, several = document["components"]["schemas"]["Request"]["properties"]["inputs"]["oneOf"]
    assert one["maxLength"] == several["items"]["maxLength"] == limits["max_characters"]
    assert several["maxItems"] == limits["max_inputs"]


def test_every_limit_is_tested(limits: dict[str, Any]) -> None:
    """Every limit has a test here, or for connections and explanations, in their own files."""
    tried = {"max_inputs", "max_characters", "max_body_bytes", "max_length"}
    tried |= {"max_queue", "max_queue_tokens", "max_bodies_bytes", "wait_seconds", "body_seconds"}
    tried |= {"generation_seconds", "max_cache_bytes"}  # in test_generation.py
    tried |= {"max_explanations"}
    assert (
        limits.keys()
        == tried | {"head_seconds", "max_head_bytes", "keep_alive_seconds", "max_connections"} | LIMITS.keys()
    )


def test_max_inputs(limited: TestClient, limits: dict[str, Any]) -> None:
    """The limit is answered; one more input is a 413."""
    most = limits["max_inputs"]
    assert [status(limited, ["a"] * inputs) for inputs in (most, most + 1)] == [200, 413]


def test_max_characters(limited: TestClient, limits: dict[str, Any]) -> None:
    """The limit in code points is answered; one more is a 413."""
    most = limits["max_characters"]
    assert [status(limited, "é" * length) for length in (most, most + 1)] == [200, 413]


def test_max_body_bytes(limited: TestClient, limits: dict[str, Any]) -> None:
    """The limit is answered; one more byte is a 413."""
    body = json.dumps({"inputs": "a"}).encode().ljust(limits["max_body_bytes"])
    answers = [limited.post("/predict", content=each, headers=JSON) for each in (body, body + b" ")]
    assert [each.status_code for each in answers] == [200, 413]


def test_max_length(limited: TestClient, limits: dict[str, Any]) -> None:
    """The limit, with two special tokens, is read; one more token is a 422 where truncation is off."""
    whole, longer = (" ".join(["order"] * words) for words in (limits["max_length"] - 2, limits["max_length"] - 1))
    assert [status(limited, text, truncate=False) for text in (whole, longer)] == [200, 422]
    answer = limited.post("/predict", json={"inputs": longer})
    assert (answer.status_code, answer.headers["x-truncated"]) == (200, "0")


@contextmanager
def busy(client: TestClient, waiting: list[str]) -> Iterator[None]:
    """Meanwhile the engine is held up, and a request of these texts waits for it."""
    go, batcher = threading.Event(), client.app.server_state.models.default.model.batcher  # type: ignore[attr-defined]
    while batcher._queue.seconds_per_token > 1e-3:  # it was held up before, and would refuse what it cannot do in time
        assert status(client, "a") == 200
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        assert go.wait(60)

    Stoppable.wait = staticmethod(wait)
    try:
        with ThreadPoolExecutor(2) as pool:
            pool.submit(status, client, "a")
            assert begun.wait(60)
            if waiting:
                pool.submit(status, client, waiting)
            while batcher.depth < len(waiting):
                time.sleep(0.001)
            try:
                yield
            finally:
                go.set()
    finally:
        Stoppable.wait = staticmethod(lambda: None)


def test_max_queue(limited: TestClient, limits: dict[str, Any]) -> None:
    """The queue fills up to the limit; more is a 429 with Retry-After."""
    with busy(limited, ["a"] * (limits["max_queue"] - 1)):
        refused = limited.post("/predict", json={"inputs": ["a", "b"]})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert status(limited, "a") == 504  # let in, and the engine stays busy


@pytest.mark.slow
def test_max_queue_tokens(limited: TestClient, limits: dict[str, Any]) -> None:
    """The same in tokens, special ones included."""
    left = limits["max_queue_tokens"] - 20
    with busy(limited, [" ".join(["order"] * 18)]):
        assert status(limited, " ".join(["order"] * (left - 1))) == 429
        assert status(limited, " ".join(["order"] * (left - 2))) == 504


@pytest.mark.slow
def test_wait_seconds(limited: TestClient, limits: dict[str, Any]) -> None:
    """A request that waits longer is a 504, whatever timeout it requests."""
    with busy(limited, []):
        headers = {"Request-Timeout": str(limits["wait_seconds"] * 100)}
        late = limited.post("/predict", json={"inputs": "a"}, headers=headers)
    assert (late.status_code, late.json()["error_type"]) == (504, "timeout")


def test_body_seconds(limited: TestClient, limits: dict[str, Any]) -> None:
    """A slower body is a 408 that closes the connection."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "root_path": ""}
    headers = [(b"content-type", b"application/json")]
    portal = limited.portal
    assert portal is not None
    portal.call(limited.app, {**scope, "headers": headers}, receive, send)
    assert sent[0]["status"] == 408
    assert dict(sent[0]["headers"])[b"connection"] == b"close"
    assert f"more than {limits['body_seconds']:g} s" in sent[1]["body"].decode()


@pytest.mark.parametrize("status", ["408", "413", "422", "429", "503", "504"])
def test_refusals_are_documented(limited: TestClient, status: str) -> None:
    """Each endpoint that takes inputs documents each error with its headers."""
    for path, item in limited.get("/openapi.json").json()["paths"].items():
        if "post" in item:
            told = item["post"]["responses"][status]
            wanted = {"408": {"Connection"}, "429": {"Retry-After"}, "503": {"Retry-After"}}.get(status, set())
            assert told["headers"].keys() == wanted, path
            assert [each["name"] for each in item["post"]["parameters"]] == ["Request-Timeout"]
