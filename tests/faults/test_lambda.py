"""A Runtime API that fails: the function's process goes on, or ends and is started anew, as Lambda does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.callers import Rows, Tally
from tests.faults.results import record, times
from tests.serving.runtime_api import RuntimeApi
from tests.serving.test_lambda_process import runtime

FAILURES = [(place, status) for place in ("next", "response") for status in (0, 403, 500, 503)]


@pytest.mark.slow
@pytest.mark.parametrize(("place", "status"), FAILURES)
def test_runtime_api_fails(place: str, status: int, tiny_bundle: Path, rows: Rows) -> None:
    """After the failure, every event gets its own answer."""
    tally = Tally()
    with RuntimeApi() as api:
        api.failures[place].append(status)
        for _ in range(2):
            with runtime(api, tiny_bundle) as process:
                for inputs, accepted in rows[: times(5, len(rows))]:
                    try:
                        outcome = api.invoke(
                            {"inputs": [inputs]}, timeout=15, running=lambda process=process: process.poll() is None
                        )
                    except TimeoutError:
                        if process.poll() is not None:
                            break
                        continue
                    tally.count(inputs, accepted, 200, json.dumps(outcome.payload).encode())
    assert tally.wrong == []
    assert tally.right >= times(5, len(rows)) - 1
    record("AWS's Runtime API fails in the midst of an invocation", 1, "ways", tally)
