"""Peak memory of this process, and the energy of the machine's processors where it can be read."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

POWERCAP = Path("/sys/class/powercap")
"""Linux's counters of Intel's and AMD's processors; many machines let only root read them."""

NVIDIA_SMI = ("nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits")
SAMPLE_SECONDS = 10.0

Joules = Callable[[], float]
"""Since the last call."""


def reset_peak() -> None:
    """Later peaks are those from now on, where the system can tell."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Bytes of the GPU, or of the process where there is none."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class EnergyMeter:
    """Adds up from its start on; ``joules`` is None where nothing can be read."""

    def __init__(self, counters: list[Joules]) -> None:
        self._counters = counters
        self._sum = 0.0
        self._lock = threading.Lock()

    @property
    def joules(self) -> float | None:
        self._sample()
        return self._sum if self._counters else None

    def watch(self, stop: threading.Event) -> None:
        """Sample often enough that no counter turns over twice."""
        while not stop.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        with self._lock:
            self._sum += sum(counter() for counter in self._counters)


@contextlib.contextmanager
def energy_meter(powercap: Path = POWERCAP) -> Iterator[EnergyMeter]:
    """Of the whole machine, whatever else it does."""
    counters = [_processor(zone) for zone in sorted(powercap.glob("intel-rapl:*")) if _is_readable(zone)]
    meter, stop = EnergyMeter([*counters, *([_gpus()] if torch.cuda.is_available() and _gpu_watts() else [])]), None
    stop = threading.Event()
    thread = threading.Thread(target=meter.watch, args=(stop,), daemon=True)
    if meter.joules is not None:
        thread.start()
    try:
        yield meter
    finally:
        stop.set()


def _is_readable(zone: Path) -> bool:
    """A whole processor; ``intel-rapl:0:1`` is a part of one."""
    try:
        return zone.name.count(":") == 1 and bool((zone / "energy_uj").read_text())
    except OSError:
        return False


def _processor(zone: Path) -> Joules:
    turn = int((zone / "max_energy_range_uj").read_text())
    last = int((zone / "energy_uj").read_text())

    def joules() -> float:
        nonlocal last
        before, last = last, int((zone / "energy_uj").read_text())
        return ((last - before) % turn) / 1e6

    return joules


def _gpus() -> Joules:
    """By the power drawn now: of the time since the last call."""
    last = time.monotonic()

    def joules() -> float:
        nonlocal last
        before, last = last, time.monotonic()
        return _gpu_watts() * (last - before)

    return joules


def _gpu_watts() -> float:
    """0 where it is not told."""
    try:
        told = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, check=True, timeout=10).stdout
        return sum(map(float, told.split()))
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0.0
