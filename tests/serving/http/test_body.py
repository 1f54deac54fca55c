"""The bytes of all bodies in hand are bounded, and small bodies keep a share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.batching.errors import Overloaded
from serving.http.app import create_app
from serving.http.body import SMALL_BODY, BodiesInHand, HeldBody
from serving.inference.predictor import Predictor
from serving.settings.limits import ServerLimits

MOST = 1_000_000
JSON = [(b"content-type", b"application/json")]


def test_bytes_are_counted() -> None:
    """While a body is held, however its holder ends."""
    bodies = BodiesInHand(MOST)
    with bodies.hold() as one, bodies.hold() as other:
        one.grow(10)
        other.grow(5)
        one.grow(1)
        assert (bodies.bytes, one.bytes, other.bytes) == (16, 11, 5)
    assert bodies.bytes == 0
    with pytest.raises(Overloaded), bodies.hold() as one, bodies.hold() as other:
        _fill(one, other)
    assert bodies.bytes == 0


def _fill(one: HeldBody, other: HeldBody) -> None:
    one.grow(MOST)
    other.grow(1)


def test_small_bodies_keep_a_share() -> None:
    """Large bodies have three quarters of the bytes, small ones all."""
    bodies = BodiesInHand(MOST)
    with bodies.hold() as large, bodies.hold() as second, bodies.hold() as small:
        large.grow(750_000 - SMALL_BODY)
        second.grow(SMALL_BODY)
        with pytest.raises(Overloaded, match="the bodies of the requests in hand have 750,000 bytes"):
            second.grow(1)
        with pytest.raises(Overloaded):
            small.require_room(SMALL_BODY + 1)
        small.require_room(SMALL_BODY)
        for _ in range(10):
            small.grow(SMALL_BODY // 10)
    assert bodies.bytes == 0


def test_a_lone_body_always_fits() -> None:
    """Else a server with a small setting would never answer it."""
    bodies = BodiesInHand(10)
    with bodies.hold() as body, bodies.hold() as other:
        body.require_room(2 * MOST)
        body.grow(MOST)
        body.grow(MOST)
        with pytest.raises(Overloaded):
            other.grow(1)


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Iterator[TestClient]:
    """An app that holds a megabyte of bodies."""
    app = create_app(lambda: Predictor.open(tiny_bundle), server_limits=ServerLimits(max_bodies_bytes=MOST))
    with TestClient(app) as each:
        yield each


def test_unfinished_bodies(client: TestClient) -> None:
    """Many of them cost the bound; another large body is a 429 with Retry-After, a small one is answered."""
    app, sent, arrived = client.app, list[Any](), 0

    async def call(part: bytes) -> Any:
        parts, mine = [part], list[Any]()

        async def receive() -> Any:
            nonlocal arrived
            if not parts:
                arrived += 1
                await asyncio.Event().wait()
            return {"type": "http.request", "body": parts.pop(), "more_body": True}

        async def send(message: Any) -> None:
            mine.append(message)
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "root_path": ""}
        await app({**scope, "headers": JSON}, receive, send)
        return mine

    async def all_at_once() -> None:
        calls = [asyncio.create_task(call(b"[" * 100_000)) for _ in range(30)]
        while arrived + len(sent) // 2 < 30:
            await asyncio.sleep(0.001)
        assert client.app.server_state.bodies.bytes == 700_000  # type: ignore[attr-defined]
        refused = [each for each in sent if each["type"] == "http.response.start"]
        assert {(each["status"], dict(each["headers"])[b"retry-after"]) for each in refused} == {(429, b"1")}
        assert (len(refused), arrived) == (23, 7)
        answer = await asyncio.to_thread(client.post, "/predict", json={"inputs": "where is my parcel?"})
        assert answer.status_code == 200
        declared = {"content-type": "application/json", "content-length": "90000"}
        answer = await asyncio.to_thread(client.post, "/predict", content=b" " * 90_000, headers=declared)
        assert (answer.status_code, "in hand have 700,000 bytes" in answer.json()["error"]) == (429, True)
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    assert client.portal is not None
    client.portal.call(all_at_once)
    assert client.app.server_state.bodies.bytes == 0  # type: ignore[attr-defined]
    body = json.dumps({"inputs": "a " * 40_000})
    assert client.post("/predict", content=body, headers={"content-type": "application/json"}).status_code == 200
