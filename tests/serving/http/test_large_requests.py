"""Large requests are worked on off the event loop, in slices, and no longer than somebody waits for them."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from serving.batching.batch_shape import QueueLimits
from serving.bundle.bundle import Bundle
from serving.http.app import App, create_app
from serving.http.models.model import INLINE_CHARACTERS, INLINE_WINDOW_CHARACTERS, SLICE_CHARACTERS
from serving.http.off_loop import slices
from serving.inference.predictor import Predictor
from serving.protocols import json_body
from serving.settings.limits import ServerLimits
from serving.tasks.base import Encoded
from serving.tasks.token_classification import TokenClassification

TEXTS = ["where is my parcel " * (SLICE_CHARACTERS // 18)] * 20
ENTITIES = "Ada lives in Oslo. Zoë flew to Kyoto, "


class Counting(Predictor):
    """A predictor that counts the texts it tokenises, and takes its time."""

    tokenised = 0
    seconds = 0.0

    def encode(self, items: Sequence[Any], *options: Any) -> list[Encoded]:
        """As ever, later."""
        self.tokenised += len(items)
        time.sleep(self.seconds)
        return super().encode(items, *options)


def run(app: App, work: Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
    """What becomes of a client's work on an app that has started."""

    async def main() -> Any:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://a") as http,
        ):
            return await work(http)

    return asyncio.run(main())


def counting(bundle: Path, seconds: float = 0.0) -> Counting:
    """A predictor over a bundle."""
    predictor = Counting(Bundle.open(bundle))
    predictor.seconds = seconds
    return predictor


@given(sizes=st.lists(st.integers(0, 9)), most=st.integers(1, 12))
def test_slices(sizes: list[int], most: int) -> None:
    """All items in order, each slice within the bound or one item, and none that its neighbour has room for."""
    parts = [sizes[part] for part in slices(sizes, most)]
    assert [size for part in parts for size in part] == sizes
    assert all(part and (sum(part) <= most or len(part) == 1) for part in parts)
    assert all(sum(left) + right[0] > most for left, right in itertools.pairwise(parts))


@pytest.mark.parametrize("seconds", [0.02])
def test_a_caller_that_goes_away(tiny_bundle: Path, seconds: float) -> None:
    """Nothing is tokenised for it any more."""
    predictor = counting(tiny_bundle, seconds)

    async def work(http: httpx.AsyncClient) -> None:
        asking = asyncio.create_task(http.post("/predict", json={"inputs": TEXTS}))
        while not predictor.tokenised:
            await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(2 * seconds)
        assert predictor.tokenised < 5

    run(create_app(lambda: predictor), work)


def test_a_deadline(tiny_bundle: Path) -> None:
    """Past it nothing more is tokenised, and the caller is told how far it came."""
    predictor = counting(tiny_bundle, 0.02)
    with TestClient(create_app(lambda: predictor)) as client:
        late = client.post("/predict", json={"inputs": TEXTS}, headers={"Request-Timeout": "0.03"})
    assert (late.status_code, "texts were tokenised" in late.json()["error"]) == (504, True)
    assert predictor.tokenised < 10


def test_more_tokens_than_the_queue_holds(tiny_bundle: Path) -> None:
    """Several texts are a 413 before all of them are tokenised; a lone one is answered."""
    predictor = counting(tiny_bundle)
    limits = ServerLimits(QueueLimits(tokens=300))
    with TestClient(create_app(lambda: predictor, server_limits=limits)) as client:
        many = client.post("/predict", json={"inputs": TEXTS})
        assert predictor.tokenised == 5  # of 64 tokens each
        few = client.post("/predict", json={"inputs": TEXTS[:4]})
    assert (few.status_code, many.status_code) == (200, 413)
    assert many.json()["error"].startswith("`inputs` has more than 300 tokens, the most that may wait for the engine")


def test_a_long_text_has_more_tokens_than_the_queue_holds(task_bundle: Callable[[str], Path]) -> None:
    """Alone in an idle server it is answered."""
    app = create_app(
        lambda: Predictor.open(task_bundle("token-classification")), server_limits=ServerLimits(QueueLimits(tokens=300))
    )
    with TestClient(app) as client:
        assert [client.post("/predict", json={"inputs": [ENTITIES * 100] * n}).status_code for n in (1, 2)] == [
            200,
            413,
        ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "inputs", "parameters"),
    [
        ("token-classification", ENTITIES * (INLINE_WINDOW_CHARACTERS // 30), {}),
        ("token-classification", [ENTITIES * 450, "Ada", ENTITIES], {"aggregation_strategy": "none"}),
        ("text-classification", [f"{text} {n}" for n, text in enumerate(TEXTS)], {"function_to_apply": "none"}),
        ("text-classification", ["stop"] * (INLINE_CHARACTERS // 40), {}),
        ("question-answering", {"question": "who?", "context": ENTITIES * 70}, {"top_k": 3}),
        ("feature-extraction", TEXTS[:2], {}),
    ],
)  # fmt: skip
def test_same_answers(
    task_client: Callable[[str], TestClient],
    task_predictor: Callable[[str], Predictor],
    toy: str,
    inputs: Any,
    parameters: dict[str, Any],
) -> None:
    """Off the event loop as on it."""
    predictor, several = task_predictor(toy), inputs if isinstance(inputs, list) else [inputs]
    answers = predictor.predict(several, predictor.task.parameters_type(**parameters))
    for path, body in (
        ("/predict", {"inputs": inputs, "parameters": parameters}),
        ("/invocations", {"inputs": inputs, "parameters": parameters}),
    ):
        response = task_client(toy).post(path, json=body)
        assert response.json() == (answers if isinstance(inputs, list) else answers[0])


@pytest.mark.parametrize(("length", "on_loop"), [(10_000, False), (100, True)])
def test_the_event_loop_stays_free(
    task_bundle: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, length: int, on_loop: bool
) -> None:
    """Large bodies are parsed, long texts tokenised and their entities found in other threads; short ones at once."""
    app = create_app(lambda: Predictor.open(task_bundle("token-classification")))
    threads: dict[str, set[threading.Thread]] = {}

    def watch(owner: Any, name: str) -> None:
        work = getattr(owner, name)

        def watched(*arguments: Any) -> Any:
            threads.setdefault(name, set()).add(threading.current_thread())
            return work(*arguments)

        monkeypatch.setattr(owner, name, watched)

    async def work(http: httpx.AsyncClient) -> int:
        for owner, name in ((json_body, "_require_few_values"), (Predictor, "encode"), (TokenClassification, "answer")):
            watch(owner, name)
        return (await http.post("/predict", json={"inputs": [(ENTITIES * 400)[:length]] * 3})).status_code

    assert run(app, work) == 200
    assert set(threads) == {"_require_few_values", "encode", "answer"}
    assert {threading.current_thread() in each for each in threads.values()} == {on_loop}
