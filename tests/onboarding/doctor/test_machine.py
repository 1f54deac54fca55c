"""The doctor on machines that lack something."""

from __future__ import annotations

import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest

from onboarding.doctor.machine import GIGABYTE, check_disk, check_memory, check_processor
from onboarding.doctor.surroundings import check_surroundings, compare_clock, hub_cache
from serving.bundle.cpu import Machine

Usage = namedtuple("Usage", "total used free")


def test_processors() -> None:
    """Without 8-bit dot products int8 is slower and saturates, and what to do is said."""
    good = Machine(architecture="x86_64", cpu="X", features=["avx2", "avx512_vnni", "avx512_bf16"])
    assert check_processor(good).state == "ok"
    assert "bfloat16 training may be faster" in check_processor(good).found
    old = check_processor(Machine(architecture="x86_64", cpu="X", features=["avx2"]))
    assert old.state == "warning"
    assert "saturate" in old.found
    assert "--variant auto" in old.remedy


@pytest.mark.parametrize(
    ("free", "limit", "state", "told"),
    [
        (16, None, "ok", "16.0 GB free of 32.0"),
        (2, None, "warning", "2.0 GB free of 32.0"),
        (16, (4, 3.5), "error", "0.5 GB free of 4.0 (the container's limit)"),
    ],
)
def test_memory(tmp_path: Path, free: float, limit: tuple[float, float] | None, state: str, told: str) -> None:
    """The container's limit counts where it is less than the machine's memory."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: {32 * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {free * 2**20:.0f} kB\n")
    if limit:
        (tmp_path / "memory.max").write_text(f"{limit[0] * GIGABYTE:.0f}\n")
        (tmp_path / "memory.current").write_text(f"{limit[1] * GIGABYTE:.0f}\n")
    else:
        (tmp_path / "memory.max").write_text("max\n")
    found = check_memory(meminfo, tmp_path)
    assert (found.state, found.found) == (state, told)
    assert bool(found.remedy) == (state != "ok")


@pytest.mark.parametrize(("free", "state"), [(20, "ok"), (2, "warning"), (0.1, "error")])
def test_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, state: str) -> None:
    """A full disk is told before a training meets it."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, int(free * GIGABYTE)))
    assert check_disk("this folder", tmp_path).state == state


@pytest.mark.parametrize(("minutes", "state"), [(0, "ok"), (5, "warning"), (-60, "error")])
def test_clock(minutes: float, state: str) -> None:
    """A clock that is off by minutes has signatures refused."""
    found = compare_clock(time.time(), time.time() + 60 * minutes)
    assert found.state == state
    assert ("behind" in found.found) == (minutes > 0)


def test_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the configured hub is asked, only where the user says so; without an answer the rest goes on."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    silent = {finding.name: finding for finding in check_surroundings(network=False)}
    assert silent["hub"].found == "http://127.0.0.1:9 was not asked; --network asks it"
    asked = {finding.name: finding for finding in check_surroundings(network=True)}
    assert asked["hub"].state == "warning"
    assert asked["hub"].found.startswith("http://127.0.0.1:9 does not answer")
    assert asked["clock"].state == "ok"


def test_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is where huggingface_hub looks, and what it holds is named."""
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "hub" / "models--team--intents").mkdir(parents=True)
    assert hub_cache() == tmp_path / "hub"
    found = next(finding for finding in check_surroundings(network=False) if finding.name == "hub cache")
    assert found.found.endswith("hub: team/intents")
