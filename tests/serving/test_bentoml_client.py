"""BentoML's own client against `bentoml serve`: it finds the endpoint, and gets the app's answers and refusals."""

from __future__ import annotations

import asyncio

import bentoml
import pytest
from bentoml.exceptions import BentoMLException

from serving.inference.predictor import Predictor
from tests.serving.processes import ServerProcess
from tests.serving.test_service import TEXTS, service  # noqa: F401 - the fixture


def test_sync(service: ServerProcess, predictor: Predictor) -> None:  # noqa: F811
    """SyncHTTPClient has a method ``predict`` that takes inputs and parameters."""
    with bentoml.SyncHTTPClient(service.url) as client:
        assert client.predict(inputs=TEXTS[0]) == predictor.predict(TEXTS[:1])
        for answer, expected in zip(client.predict(inputs=TEXTS), predictor.predict(TEXTS), strict=True):
            assert [each["label"] for each in answer] == [each["label"] for each in expected]
            # The last digits of a product depend on how many rows it has.
            assert [each["score"] for each in answer] == pytest.approx([each["score"] for each in expected], abs=1e-6)
        ((best,),) = client.predict(inputs=TEXTS[0], parameters={"top_k": 1})
        assert best == predictor.predict(TEXTS[:1])[0][0]


def test_async(service: ServerProcess, predictor: Predictor) -> None:  # noqa: F811
    """AsyncHTTPClient has it too."""

    async def main() -> None:
        async with bentoml.AsyncHTTPClient(service.url) as client:
            assert await client.predict(inputs=TEXTS[1]) == predictor.predict(TEXTS[1:2])

    asyncio.run(main())


def test_refused(service: ServerProcess) -> None:  # noqa: F811
    """What the app refuses, the client raises, with the status and the app's own words."""
    with bentoml.SyncHTTPClient(service.url) as client, pytest.raises(BentoMLException) as caught:
        client.predict(inputs="")
    assert caught.value.error_code == 422
    assert "inputs is empty; a text needs at least one visible character" in str(caught.value)
