"""JSON answers read back as what the standard library would have written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.http.errors import JSONResponse
from tests.toys import GENERATING_TOYS


@pytest.mark.parametrize(
    "content",
    [[{"label": "Straße 北京 🙂", "score": 0.1 + 0.2}], {"maximum": 2**80, "text": "é"}, [1e-7, -0.0, None, True]],
)
def test_reads_back_as_it_was(content: Any) -> None:
    """Floats to the last digit, integers of any size, every character."""
    body = JSONResponse(content).body
    assert json.loads(body) == content
    assert b"\\u" not in body


@pytest.mark.parametrize("toy", GENERATING_TOYS)
def test_the_largest_seed_can_be_told(task_client: Callable[[str], TestClient], toy: str) -> None:
    """A generating model's document has integers past 64 bits."""
    response = task_client(toy).get("/openapi.json")
    assert response.status_code == 200
    assert "seed" in response.text
