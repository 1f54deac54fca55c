"""What a training used of the machine."""

from __future__ import annotations

import mmap
from pathlib import Path

from trainer.fit.machine.meters import energy_meter, peak_memory, reset_peak


def zone(powercap: Path, name: str, microjoules: int) -> Path:
    """A counter as Linux has it, which turns over at a joule."""
    folder = powercap / name
    folder.mkdir(exist_ok=True)
    (folder / "max_energy_range_uj").write_text("1000000\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


def test_energy(tmp_path: Path) -> None:
    """All processors count, none of their parts, and a counter may turn over."""
    zone(tmp_path, "intel-rapl:0", 900_000), zone(tmp_path, "intel-rapl:1", 0), zone(tmp_path, "intel-rapl:0:0", 5)
    with energy_meter(tmp_path) as meter:
        assert meter.joules == 0.0
        zone(tmp_path, "intel-rapl:0", 100_000), zone(tmp_path, "intel-rapl:1", 300_000)
        zone(tmp_path, "intel-rapl:0:0", 900_000)
        assert meter.joules is not None
        assert round(meter.joules, 6) == 0.5


def test_no_counter(tmp_path: Path) -> None:
    """Nothing is guessed where nothing can be read."""
    with energy_meter(tmp_path) as meter:
        assert meter.joules is None


def test_peak() -> None:
    """What was freed again is part of the peak, until it is reset."""
    reset_peak()
    before = peak_memory()
    with mmap.mmap(-1, 2**26) as mapped:  # freed for sure, unlike what an allocator has given
        for _ in range(64):
            mapped.write(bytes(2**20))
    assert peak_memory() - before > 2**25
    reset_peak()
    assert peak_memory() < before + 2**25
