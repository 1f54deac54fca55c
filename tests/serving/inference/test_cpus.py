"""The CPUs of a process: by its affinity mask and its container's quota; on macOS, which has no mask, all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.measurement.process import pinned
from serving.inference.cpus import allowed_cpus, cgroup_cpus, on_every_cpu, usable_cpus


@pytest.fixture
def no_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system whose Python has none of Linux's calls."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "sched_setaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 10)


def test_the_mask_counts() -> None:
    """A pinned process has the CPUs that it was pinned to."""
    one = {min(allowed_cpus())}
    with pinned(one):
        assert allowed_cpus() == one
        assert usable_cpus() == 1


def test_all_cpus_without_a_mask(no_mask: None) -> None:
    """Each of the machine's, and nothing is pinned."""
    assert allowed_cpus() == set(range(10))
    assert usable_cpus() == min(10, cgroup_cpus())
    with on_every_cpu():
        assert allowed_cpus() == set(range(10))


def test_an_unknown_machine_has_one(no_mask: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python may not know their number."""
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus() == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="takes two CPUs")
def test_several_stay() -> None:
    """A process that has several CPUs keeps just those, within and behind."""
    some = set(sorted(os.sched_getaffinity(0))[:2])
    with pinned(some):
        with on_every_cpu():
            assert os.sched_getaffinity(0) == some
        assert os.sched_getaffinity(0) == some


def test_pinned_again_when_it_fails() -> None:
    """An import that fails leaves the process where it was."""
    one = {min(os.sched_getaffinity(0))}
    with pinned(one):
        with pytest.raises(ImportError), on_every_cpu():
            raise ImportError
        assert os.sched_getaffinity(0) == one


@pytest.mark.parametrize(
    ("content", "cpus"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 1),
        ("50000 100000\n", 1),
        ("1600000 100000\n", 16),
        ("20000 10000\n", 2),
        ("max 100000\n", None),
    ],
)
def test_cgroup_v2(tmp_path: Path, content: str, cpus: int | None) -> None:
    """A container's quota is read from cpu.max, rounded down, at least one."""
    (tmp_path / "cpu.max").write_text(content)
    assert (cgroup_cpus(tmp_path) == cpus) if cpus else (cgroup_cpus(tmp_path) > 10_000)


@pytest.mark.parametrize(("quota", "cpus"), [("200000\n", 2), ("350000\n", 3), ("50000\n", 1), ("-1\n", None)])
def test_cgroup_v1(tmp_path: Path, quota: str, cpus: int | None) -> None:
    """On an older kernel it is read from cpu.cfs_quota_us."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert (cgroup_cpus(tmp_path) == cpus) if cpus else (cgroup_cpus(tmp_path) > 10_000)


def test_no_cgroup(tmp_path: Path) -> None:
    """Where there is no quota to read there is no limit."""
    assert cgroup_cpus(tmp_path) > 10_000
