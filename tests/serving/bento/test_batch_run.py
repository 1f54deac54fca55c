"""A batch's answers are those of /predict, whatever the task; and how it ends otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from serving.bento.batch_limits import BatchLimits
from serving.bento.batch_run import BatchRunner
from serving.http.app import create_app
from serving.http.state import ServerState
from serving.inference.predictor import Predictor
from tests.serving.examples import EXAMPLES, TEXTS


def answer(predictor: Predictor, inputs: list[Any], **limits: int) -> Response:
    """Of an app's runner."""
    return asyncio.run(
        with_state(predictor, lambda state: BatchRunner(state, BatchLimits(**limits)).answer(inputs, None))
    )


async def with_state(predictor: Predictor, use: Callable[[ServerState], Awaitable[Response]]) -> Response:
    """What is done while the app runs."""
    app = create_app(lambda: predictor)
    async with app.router.lifespan_context(app):
        return await use(app.server_state)


@pytest.mark.slow
@pytest.mark.parametrize("toy", ["text pairs", "question-answering", "token-classification", "text2text-generation"])
def test_every_task(
    task_predictor: Callable[[str], Predictor], task_client: Callable[[str], TestClient], toy: str
) -> None:
    """Generating ones too, whose rows run in slices."""
    inputs = EXAMPLES.get(toy, TEXTS)
    expected = task_client(toy).post("/predict", json={"inputs": inputs}).json()
    response = answer(task_predictor(toy), inputs * 50)
    assert response.status_code == 200, response.body
    assert [keys_of(each) for each in json.loads(response.body)] == [keys_of(each) for each in expected] * 50


def keys_of(content: Any) -> Any:
    """Without numbers, whose last digits depend on the neighbours."""
    if isinstance(content, dict):
        return {key: keys_of(value) for key, value in content.items() if not isinstance(value, float)}
    return [keys_of(each) for each in content] if isinstance(content, list) else content


def test_answers_that_are_too_many(predictor: Predictor) -> None:
    """The batch ends with the way out."""
    response = answer(predictor, ["a text"] * 300, body_bytes=1000)
    assert response.status_code == 413
    assert b"the answers have more than 8,000 bytes" in response.body
    assert b"parameters.top_k" in response.body


def test_while_the_server_stops(predictor: Predictor) -> None:
    """It holds up no stop."""

    async def stop(state: ServerState) -> Response:
        batch = asyncio.create_task(BatchRunner(state, BatchLimits()).answer(["a text"] * 5000, None))
        await asyncio.sleep(0.05)
        state.draining = True
        return await batch

    response = asyncio.run(with_state(predictor, stop))
    assert response.status_code == 503
    assert b"the server is stopping, and its batches with it" in response.body


def test_settings() -> None:
    """Limits are numbers above 0."""
    with pytest.raises(ValueError, match="TUNESHIP_BATCH_MAX_ROWS is '0'"):
        BatchLimits.from_environment({"TUNESHIP_BATCH_MAX_ROWS": "0"})
    assert BatchLimits.from_environment({"TUNESHIP_BATCH_MAX_BYTES": "7"}).answer_bytes == 56
