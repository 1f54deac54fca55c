"""A real server of a real bundle is started, loaded and measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.measurement import measure as measuring
from deploy.measurement.engine_times import row_counts
from deploy.measurement.measure import measure
from deploy.measurement.process import MeasurementError
from serving.batching.batch_shape import BatchShape
from serving.bundle.bundle import Bundle
from serving.errors import InputError


def test_linux_alone(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another system nothing is started; the message says where to measure and what to do with the file."""
    monkeypatch.setattr(measuring.platform, "system", lambda: "Darwin")
    with pytest.raises(InputError, match=r"needs Linux, and this is Darwin.*--measurement"):
        measure(Bundle.open(tiny_bundle), 1, 4.0)


@pytest.mark.slow
def test_a_classifier(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure is there, and the ones that must be larger are; the caller's own server settings play no part."""
    monkeypatch.setenv("TUNESHIP_API_KEYS", "a-key-that-the-load-does-not-have")
    bundle = Bundle.open(tiny_bundle)
    found = measure(bundle, 1, 4.0)
    assert (found.bundle_digest, found.cpus, found.variant) == (bundle.digest, 1, "fp32")
    assert found.load_apart == (len(os.sched_getaffinity(0)) > 1)
    assert found.memory_bytes > 30 * 2**20
    assert found.lone_p99_seconds >= found.lone_p50_seconds
    assert {call.rows for call in found.calls} >= {1, 2, 4, 8}
    assert found.requests == [[len(ids) for ids in row.input_ids] for row in bundle.golden]
    assert found.server_model().service_times.seconds(1, found.calls[0].tokens) == found.calls[0].seconds


@pytest.mark.slow
def test_generated_texts(task_bundle: Callable[[str], Path]) -> None:
    """They are measured as requests only."""
    found = measure(Bundle.open(task_bundle("text2text-generation")), 1, 4.0)
    assert found.calls == []
    assert found.full_requests_per_second > 0


def test_more_cpus_than_there_are(tiny_bundle: Path) -> None:
    """They are refused before anything starts."""
    with pytest.raises(InputError, match=r"--cpus 4096: this machine has \d+"):
        measure(Bundle.open(tiny_bundle), 4096, 1.0)


@pytest.mark.slow
def test_a_server_that_does_not_start(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last lines of log are the error."""
    monkeypatch.setattr(measuring, "_plain_environment", lambda: {**os.environ, "TUNESHIP_DEVICE": "abacus"})
    with pytest.raises(MeasurementError, match=r"(?s)tuneship serve ended with status 1.*abacus"):
        measure(Bundle.open(tiny_bundle), 1, 1.0)


def test_calls_that_the_server_makes() -> None:
    """Rows double as long as the server's batches have so many; a variant whose rows run alone has one."""
    assert list(row_counts(BatchShape(), 20)) == [1, 2, 4, 8]
    assert list(row_counts(BatchShape(), 400)) == [1]
    assert list(row_counts(BatchShape(rows=1), 8)) == [1]
