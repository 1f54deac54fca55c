"""A text waits from its arrival to the end of its batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.bare_runtime import BareRuntime
from bench.bare_runtime_process import BareRuntimeProcess
from bench.bare_runtime_waits import measure_one_by_one, measure_waits
from serving.bundle.bundle import Bundle


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call of the runtime took."""
    together, sizes = BareRuntime.together, list[int]()

    def counted(runtime: BareRuntime, rows: Sequence[list[int]]) -> object:
        sizes.append(len(rows))
        return together(runtime, rows)

    monkeypatch.setattr(BareRuntime, "together", counted)
    return sizes


@pytest.fixture(scope="module")
def runtime(tiny_int8_bundle: Path) -> BareRuntime:
    return BareRuntime(Bundle.open(tiny_int8_bundle))


def test_texts_that_arrive_together_share_a_batch(runtime: BareRuntime, batches: list[int]) -> None:
    """Texts of one length that arrive at once run in one batch and wait equally long."""
    found = measure_waits(runtime, [(0.0, "where is it?")] * 8)
    assert batches == [8]
    assert len(found) == 8
    assert len(set(found)) == 1


@pytest.mark.slow
def test_an_idle_runtime_does_not_wait(runtime: BareRuntime, batches: list[int]) -> None:
    """A text runs alone as soon as it arrives; its wait starts then."""
    found = measure_waits(runtime, [(0.0, "where is it?"), (2.0, "where is it?")])
    assert batches == [1, 1]
    assert all(0 < wait < 2 for wait in found)


def test_batches_are_by_length(runtime: BareRuntime, batches: list[int]) -> None:
    """The batches are the server's: short texts are not padded to a long one."""
    measure_waits(runtime, [(0.0, "it?"), (0.0, "it " * 100), (0.0, "it?")])
    assert batches == [2, 1]


def test_one_by_one(runtime: BareRuntime, batches: list[int]) -> None:
    """One text at a time, repeated."""
    found = measure_one_by_one(runtime, ["where is it?", "cancel"], 0.05)
    assert batches == [1] * len(found)
    assert len(found) > 2


@pytest.mark.slow
def test_in_its_own_process(tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """A process on the given core measures a round."""
    found = BareRuntimeProcess("int8", tiny_int8_bundle, 4).measure_waits(
        ["where is it?", "cancel"], 0.1, 0, {0}, tmp_path
    )
    assert min(found.alone, found.busy, found.calm) > 0
