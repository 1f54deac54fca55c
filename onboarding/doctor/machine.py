"""The machine: processors, what 8-bit models do on them, memory, disks, GPU, limits."""

from __future__ import annotations

import importlib.metadata
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from onboarding.doctor.finding import Finding, error, ok, warning
from serving.bundle.cpu import INSTRUCTIONS, Machine, describe_machine
from serving.settings.settings import available_cpus, cache_folder

GIGABYTE = 2**30
_LITTLE_MEMORY, _TOO_LITTLE_MEMORY = 4 * GIGABYTE, GIGABYTE
_LITTLE_DISK, _TOO_LITTLE_DISK = 5 * GIGABYTE, GIGABYTE // 2
_UNLIMITED = 2**60
"""Version 1 of cgroups writes a large number where there is no limit."""
_FEW_FILES = 1024
_SECONDS = 2.0
"""That another program may take to answer."""


def check_machine() -> Iterator[Finding]:
    yield check_processor(describe_machine())
    yield _cpus()
    yield check_memory()
    yield from _disks()
    yield _gpu()
    yield _open_files()
    yield _engine()


def check_processor(machine: Machine) -> Finding:
    features = ", ".join(machine["features"]) or "no vector instructions that matter here"
    found = f"{machine['architecture']}, {machine['cpu']}: {features}"
    if INSTRUCTIONS["int8-dot-product"] & set(machine["features"]):
        bf16 = "; bfloat16 training may be faster" if INSTRUCTIONS["bfloat16"] & set(machine["features"]) else ""
        return ok("processor", f"{found}. int8 is fast and adds exactly{bf16}")
    return warning(
        "processor",
        f"{found}. It has no 8-bit dot products: int8 is slower, and its sums saturate",
        "export on a machine like those that will serve; --variant auto measures which variant pays",
    )


def _cpus() -> Finding:
    available, every = available_cpus(), os.cpu_count() or 1
    if available == every:
        return ok("CPUs", f"{available}")
    return ok("CPUs", f"{available} of {every}, by this process's affinity and its container's quota")


def check_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> Finding:
    """What is free of the machine's, or of the container's where that is less."""
    known = [each for each in (_machine_memory(meminfo), _container_memory(cgroup)) if each]
    if not known:
        return ok("memory", "not told by this system")
    room = min(known, key=lambda memory: memory.free)
    found = f"{room.free / GIGABYTE:.1f} GB free of {room.most / GIGABYTE:.1f}{room.whose}"
    if room.free < _TOO_LITTLE_MEMORY:
        return error("memory", found, "a server needs about 1 GB, a training of the default model 3: free some")
    if room.free < _LITTLE_MEMORY:
        return warning("memory", found, "trainings may not fit; see tuneship train RECIPE --forecast")
    return ok("memory", found)


class _Memory(NamedTuple):
    """In bytes."""

    free: int
    most: int
    whose: str = ""


def _machine_memory(meminfo: Path) -> _Memory | None:
    if not meminfo.is_file():
        return None
    pairs = (line.partition(":") for line in meminfo.read_text().splitlines())
    fields = {key: value.split()[0] for key, _, value in pairs}
    return _Memory(int(fields["MemAvailable"]) * 1024, int(fields["MemTotal"]) * 1024)


def _container_memory(root: Path) -> _Memory | None:
    """None without a limit. What the page cache holds is free."""
    for limit, used, folder in (
        ("memory.max", "memory.current", root),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", root / "memory"),
    ):
        try:
            most = (folder / limit).read_text().strip()
            if most.isdecimal() and int(most) < _UNLIMITED:
                taken = int((folder / used).read_text()) - _cached(folder / "memory.stat")
                return _Memory(int(most) - taken, int(most), " (the container's limit)")
        except OSError:
            continue
    return None


def _cached(stat: Path) -> int:
    fields = dict(line.split() for line in stat.read_text().splitlines()) if stat.is_file() else {}
    return int(fields.get("inactive_file", 0))


def _disks() -> Iterator[Finding]:
    """Where runs, downloads and temporary files go."""
    places = {"this folder": Path.cwd(), "cache": cache_folder(), "temporary files": Path(tempfile.gettempdir())}
    seen: set[int] = set()
    for name, path in places.items():
        there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
        if not os.access(there, os.W_OK):
            yield error(f"disk, {name}", f"{there} cannot be written", "change its permissions, or work elsewhere")
        elif (device := there.stat().st_dev) not in seen:
            seen.add(device)
            yield check_disk(name, there)


def check_disk(name: str, there: Path) -> Finding:
    free = shutil.disk_usage(there).free
    found, name = f"{free / GIGABYTE:.1f} GB free at {there}", f"disk, {name}"
    if free < _TOO_LITTLE_DISK:
        return error(name, found, "a run of the default model takes half a gigabyte: make room")
    if free < _LITTLE_DISK:
        return warning(name, found, "base models take up to several gigabytes: make room")
    return ok(name, found)


def _gpu() -> Finding:
    told = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    torch = _version("torch")
    if told is None:
        if torch and "+cpu" not in torch and _version("triton"):
            return ok("GPU", f"none; torch {torch} brings CUDA along, which its build for CPUs does not")
        return ok("GPU", "none; training and serving use the CPUs")
    names = "; ".join(line.strip() for line in told.splitlines()[:4])
    if torch and "+cpu" in torch:
        return warning(
            "GPU", f"{names}; torch {torch} is the build for CPUs", "install torch's build for CUDA to train on it"
        )
    server = "" if _version("onnxruntime-gpu") else "; to serve on it: pip install 'tuneship[gpu]'"
    return ok("GPU", f"{names}{server}")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FEW_FILES and soft != resource.RLIM_INFINITY:
        return warning("open files", f"{soft} at most", f"a busy server needs more: ulimit -n {min(hard, 65536)}")
    return ok("open files", f"{soft} at most")


def _engine() -> Finding:
    for name in ("docker", "podman"):
        if shutil.which(name) is None:
            continue
        told = _output(name, "version", "--format", "{{.Server.Version}}")
        if told:
            return ok("container engine", f"{name} {told.strip()}")
        return warning("container engine", f"{name} is installed, and no engine answers", "start it, to build images")
    return ok("container engine", "none; only images need one")


def _output(*command: str) -> str | None:
    """None where the program is not there, fails or does not answer in time."""
    if shutil.which(command[0]) is None:
        return None
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
