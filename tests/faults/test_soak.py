"""Very many requests, good and bad: see `bench.soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.hostile.subject import TINY, Subject
from bench.soak import measure
from tests.faults.callers import Tally
from tests.faults.results import record, times

REQUESTS = times(4000, 1_000_000)


@pytest.mark.slow
def test_soak(tiny_bundle: Path, tmp_path: Path) -> None:
    """Memory, descriptors and threads do not grow once each kind of request has been seen."""
    samples = measure(Subject.of(TINY, tiny_bundle), REQUESTS, tmp_path)
    half = len(samples.memory) // 2
    assert samples.errors.total() == 0
    assert samples.memory[-1] - samples.memory[half] < 30
    assert samples.descriptors[-1] - samples.descriptors[half] < 20
    assert samples.threads[-1] <= samples.threads[half]
    record("requests in a row, good and bad ones", REQUESTS, "requests", Tally(right=REQUESTS))
