"""Waits before the bare runtime: each text waits from its own moment to the end of the batch that it is in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.ceiling import Ceiling
from bench.raw import Raw
from bench.raw_waits import one_behind_the_other, waits
from serving.bundle.bundle import Bundle


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call of the runtime took."""
    together, sizes = Raw.together, list[int]()

    def counted(raw: Raw, rows: Sequence[list[int]]) -> object:
        sizes.append(len(rows))
        return together(raw, rows)

    monkeypatch.setattr(Raw, "together", counted)
    return sizes


@pytest.fixture(scope="module")
def raw(tiny_int8_bundle: Path) -> Raw:
    """The tiny int8 bundle, bare."""
    return Raw(Bundle.open(tiny_int8_bundle))


def test_what_is_there_shares_a_batch(raw: Raw, batches: list[int]) -> None:
    """Texts of one length that are due at once run together and have waited for as long as each other."""
    found = waits(raw, [(0.0, "where is it?")] * 8)
    assert batches == [8]
    assert len(found) == 8
    assert len(set(found)) == 1


def test_an_idle_runtime_waits_for_nobody(raw: Raw, batches: list[int]) -> None:
    """A text runs alone when its moment comes; what was before that is none of its wait."""
    found = waits(raw, [(0.0, "where is it?"), (2.0, "where is it?")])
    assert batches == [1, 1]
    assert all(0 < wait < 2 for wait in found)


def test_like_lengths_go_first_together(raw: Raw, batches: list[int]) -> None:
    """The batches are those of the server's policy: a long text is not padded to by short ones."""
    waits(raw, [(0.0, "it?"), (0.0, "it " * 100), (0.0, "it?")])
    assert batches == [2, 1]


def test_one_behind_the_other(raw: Raw, batches: list[int]) -> None:
    """A text at a time, round and round."""
    found = one_behind_the_other(raw, ["where is it?", "cancel"], 0.05)
    assert batches == [1] * len(found)
    assert len(found) > 2


def test_in_a_process_of_its_own(tiny_int8_bundle: Path, tmp_path: Path) -> None:
    """A round is measured on a core of the caller's choice."""
    found = Ceiling("int8", tiny_int8_bundle, 4).waits(["where is it?", "cancel"], 0.1, 0, {0}, tmp_path)
    assert min(found.alone, found.busy, found.calm) > 0
