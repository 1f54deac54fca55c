"""Batches in a real `bentoml serve`: BentoML's clients submit rows, ask for the status, get the answers, cancel."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import psutil
import pytest
from bentoml.exceptions import BentoMLException

from serving.inference.predictor import Predictor
from tests.serving.bento.serve import bentoml_serve
from tests.serving.processes import ServerProcess, until

KEY = "batch-key-0123456789"
ROWS, BYTES = 3000, 6_000_000
SECRET = "a customer's secret"
HEAVY = ["a long text of some words " * 60] * ROWS
"""Seconds of work."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """With a key and low limits."""
    folder = tmp_path_factory.mktemp("batches")
    limits = {"TUNESHIP_BATCH_MAX_ROWS": ROWS, "TUNESHIP_BATCH_MAX_BYTES": BYTES, "TUNESHIP_BATCH_MAX_UNFINISHED": 3}
    with bentoml_serve(folder, TUNESHIP_BUNDLE=tiny_bundle, TUNESHIP_API_KEYS=KEY, **limits) as process:
        yield process


@pytest.fixture
def client(service: ServerProcess) -> Iterator[Any]:
    """BentoML's own."""
    with sync_client(service.url, token=KEY) as client:
        yield client


def sync_client(url: str, **options: Any) -> Any:
    """With a list that its method ``submit`` empties at the end, and that BentoML 1.4.39 and 1.4.40 forgot to make."""
    client = bentoml.SyncHTTPClient(url, **options)
    client._opened_files = []
    return client


@pytest.fixture
def caller(service: ServerProcess) -> Iterator[httpx.Client]:
    """Any other, with a key."""
    with httpx.Client(base_url=service.url, headers={"X-API-Key": KEY}, timeout=60) as caller:
        yield caller


def ended(task: Any, seconds: float = 60) -> str:
    """Its last status."""
    until(lambda: task.get_status().value != "in_progress", seconds)
    return str(task.get_status().value)


def tasks_file(service: ServerProcess) -> Path:
    """Where BentoML keeps them."""
    return service.log.parent / "home" / "task_result.db"


def test_many_rows(client: Any, predictor: Predictor) -> None:
    """More rows than a request may hold get the predictor's answers, in order."""
    texts = [f"where is order {number}?" + " again" * (number % 7) for number in range(400)]
    task = client.batch.submit(inputs=texts)
    assert ended(task) == "completed"
    answers, expected = task.get(), predictor.predict(texts[:128]) + predictor.predict(texts[128:])
    assert len(answers) == len(texts)
    for answer, other in zip(answers, expected, strict=True):
        scores = {each["label"]: each["score"] for each in other}
        # The last digits of a product depend on how many rows it has, and others' rows may join them.
        assert {each["label"]: each["score"] for each in answer} == pytest.approx(scores, abs=1e-6)


def test_parameters(client: Any, predictor: Predictor) -> None:
    """They are those of /predict."""
    task = client.batch.submit(inputs=["refund", "parcel"], parameters={"top_k": 1})
    assert ended(task) == "completed"
    assert [[each["label"] for each in answer] for answer in task.get()] == [
        [answer[0]["label"]] for answer in predictor.predict(["refund", "parcel"])
    ]


def test_asynchronous_client(service: ServerProcess) -> None:
    """AsyncHTTPClient too; and a task can be run again."""

    async def main() -> None:
        async with bentoml.AsyncHTTPClient(service.url, token=KEY) as client:
            task = await client.batch.submit(inputs=["one", "two"])
            for each in (task, None):
                each = each or await task.retry()
                while (await each.get_status()).value == "in_progress":
                    await asyncio.sleep(0.02)
                assert len(await each.get()) == 2

    asyncio.run(main())


def test_json_lines(caller: httpx.Client, predictor: Predictor) -> None:
    """Lines of texts, or of objects with nothing but inputs; a direct call waits for the answers."""
    lines = b'"where is my parcel?"\n\n{"inputs": "refund order 17"}\n'
    answer = caller.post("/batch", content=lines, headers={"Content-Type": "application/jsonlines"})
    assert answer.status_code == 200, answer.text
    expected = predictor.predict(["where is my parcel?", "refund order 17"])
    assert [row[0]["label"] for row in answer.json()] == [row[0]["label"] for row in expected]


REFUSED: list[tuple[Any, int, str]] = [
    ({"inputs": "a text"}, 422, "a lone input goes to /predict"),
    ({"inputs": []}, 422, "inputs"),
    ({"inputs": ["a"] * (ROWS + 1)}, 413, "holds 3,001 rows; a batch may hold 3,000"),
    ({"inputs": ["a", "b", ""]}, 422, "inputs[2] is empty"),
    ({"inputs": ["a"], "parameters": {"tip_k": 1}}, 422, "parameters.tip_k"),
    ({"inputs": ["a" * 100_001]}, 413, "inputs[0]"),
    ({"inputs": ["a" * BYTES]}, 413, "more than 6,000,000 bytes"),
    (b"{", 400, "not valid JSON"),
    (b'"a"\n{"inputs": "b", "parameters": {}}', 422, "line 2: unknown key 'parameters'"),
    (b'"a"\n{', 400, "line 2"),
]


@pytest.mark.parametrize(("body", "status", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused(caller: httpx.Client, service: ServerProcess, body: Any, status: int, message: str) -> None:
    """What does not hold is refused before it is accepted, in the words of /predict; nothing of it is stored."""
    kind = "application/jsonlines" if isinstance(body, bytes) and body != b"{" else "application/json"
    before = count(service)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = caller.post("/batch/submit", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json().keys()) == (status, {"error", "error_type"}), answer.text
    assert message in answer.json()["error"]
    assert count(service) == before


def count(service: ServerProcess) -> int:
    """Tasks that BentoML keeps."""
    with sqlite3.connect(tasks_file(service)) as file:
        return int(file.execute("SELECT count(*) FROM result").fetchone()[0])


@pytest.mark.parametrize("path", ["/batch", "/batch/submit", "/batch/retry"])
def test_without_a_key(service: ServerProcess, path: str) -> None:
    """It is asked for here too."""
    assert httpx.post(service.url + path, json={"inputs": ["a"]}).status_code == 401
    assert httpx.get(f"{service.url}/batch/get", params={"task_id": "a"}).status_code == 401


def test_no_key_is_stored(client: Any, service: ServerProcess) -> None:
    """BentoML keeps a request's headers, of which it gets none; and nobody else reads the file."""
    assert ended(client.batch.submit(inputs=[SECRET])) == "completed"
    with sqlite3.connect(tasks_file(service)) as file:
        rows = file.execute("SELECT input, result FROM result").fetchall()
    stored = b"".join(bytes(part) for row in rows for part in row if part)
    assert rows
    assert KEY.encode() not in stored
    assert b"authorization" not in stored.lower()
    assert stat.S_IMODE(tasks_file(service).stat().st_mode) == 0o600
    assert SECRET not in service.log.read_text()


def test_cancel(client: Any) -> None:
    """A batch that runs and one that waits end, at once and for good; their answers are a refusal."""
    running, waiting = (client.batch.submit(inputs=inputs) for inputs in (HEAVY, ["a"]))
    for task in (waiting, running):
        task.cancel()
        assert task.get_status().value == "canceled"
        with pytest.raises(BentoMLException, match="was cancelled"):
            task.get()
    after = client.batch.submit(inputs=["a"])
    assert ended(after) == "completed"
    assert running.get_status().value == "canceled"
    for task in (after, bentoml_task(client, "unknown")):
        with pytest.raises(BentoMLException, match="it has ended, or never was"):
            task.cancel()


def bentoml_task(client: Any, number: str) -> Any:
    """One by its id."""
    task = client.batch.submit(inputs=["a"])
    return type(task)(number, task.endpoint, task.client)


def test_too_many(client: Any) -> None:
    """A further one than may be unfinished is told to come again."""
    tasks = [client.batch.submit(inputs=inputs) for inputs in (HEAVY, ["a"], ["a"])]
    with pytest.raises(BentoMLException, match="batches are unfinished") as caught:
        client.batch.submit(inputs=["a"])
    assert caught.value.error_code == 429
    for task in reversed(tasks):
        task.cancel()


def test_others_go_first(client: Any, caller: httpx.Client) -> None:
    """While a batch runs, requests are answered, and the batch goes on."""
    task = client.batch.submit(inputs=["a text of some words"] * ROWS)
    for _ in range(20):
        assert caller.post("/predict", json={"inputs": "where is my parcel?"}).status_code == 200
    assert ended(task) == "completed"
    assert len(task.get()) == ROWS


def test_a_killed_worker(client: Any, service: ServerProcess) -> None:
    """A new one keeps what ended, and tells of the rest that it was lost. The last test with this process but one."""
    kept = client.batch.submit(inputs=["a"])
    assert ended(kept) == "completed"
    lost = client.batch.submit(inputs=HEAVY)
    (worker,) = (
        each for each in psutil.Process(service.process.pid).children() if "worker" in " ".join(each.cmdline())
    )
    os.kill(worker.pid, signal.SIGKILL)
    service_is_back(service)
    assert len(kept.get()) == 1
    assert lost.get_status().value == "failed"
    with pytest.raises(BentoMLException, match="the worker ended before the batch did"):
        lost.get()


def service_is_back(service: ServerProcess) -> None:
    """Wait for the new worker."""
    time.sleep(0.5)
    service.wait_until_ready(60)


def test_a_stop_ends_batches(client: Any, service: ServerProcess) -> None:
    """Within the time that requests have."""
    client.batch.submit(inputs=HEAVY)
    assert service.stop(40) == 0


def test_retention(tiny_bundle: Path, tmp_path: Path) -> None:
    """What ended too long ago is forgotten; where the rest has no room, batches are refused until it is."""
    limits = {"TUNESHIP_BATCH_RETENTION_SECONDS": 2, "TUNESHIP_BATCH_MAX_STORED_BYTES": 60_000}
    with (
        bentoml_serve(tmp_path, TUNESHIP_BUNDLE=tiny_bundle, **limits) as process,
        sync_client(process.url) as client,
    ):
        first = client.batch.submit(inputs=["a text of some words"] * 500)
        assert ended(first) == "completed"
        with pytest.raises(BentoMLException, match=r"bytes of batches are stored, more than 60,000"):
            client.batch.submit(inputs=["a"])
        time.sleep(2.1)
        assert ended(client.batch.submit(inputs=["a"])) == "completed"
        with pytest.raises(BentoMLException, match="not found"):
            first.get()
