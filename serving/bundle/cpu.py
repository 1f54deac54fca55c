"""The machine's properties that answers may depend on: architecture and vector instructions."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from typing_extensions import TypedDict  # pydantic takes typing's own from Python 3.12 on

FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "i8mm")
"""Instruction sets that onnxruntime's kernels choose by, in Linux's names."""

Arithmetic = Literal["int8-dot-product", "bfloat16"]
"""CPU arithmetic that an approximate variant's answers may depend on. Without 8-bit dot products x86 adds in 16 bits,
which saturate (onnxruntime's quantization guide, on U8S8)."""

INSTRUCTIONS: dict[Arithmetic, frozenset[str]] = {
    "int8-dot-product": frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"}),
    "bfloat16": frozenset({"avx512_bf16", "amx_bf16"}),
}
"""Each of them provides the arithmetic, with equal results."""


SYSCTL = ("/usr/sbin/sysctl", "machdep.cpu", "hw.optional")
"""Prints lines as ``hw.optional.arm.FEAT_I8MM: 1`` on macOS."""

OF_MACOS = {"hw.optional.arm.FEAT_DotProd": "asimddp", "hw.optional.arm.FEAT_I8MM": "i8mm"}
"""Apple's names of FEATURES."""


class Machine(TypedDict):
    """``cpu`` is the model's name; ``features`` are from FEATURES."""

    architecture: str
    cpu: str
    features: list[str]


def describe_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Machine:
    """Of macOS in Linux's names too: either machine proves for the other."""
    if platform.system() == "Darwin":
        return _describe_mac()
    fields = _first_cpu(cpuinfo)
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return {
        "architecture": platform.machine(),
        "cpu": fields.get("model name", "unknown"),
        "features": [feature for feature in FEATURES if feature in flags],
    }


def cpu_mismatches(depends_on: Sequence[Arithmetic], proven_on: Machine, machine: Machine) -> tuple[str, ...]:
    """A line for each dependency in which two machines differ. float32 variants depend on nothing."""
    if depends_on and proven_on["architecture"] != machine["architecture"]:
        return (f"it was proven on {proven_on['architecture']} and this machine is {machine['architecture']}",)
    return tuple(
        f"it was proven on a CPU {'with' if had else 'without'} {kind} instructions and this machine's has "
        f"{'none' if had else 'some'} ({', '.join(sorted(INSTRUCTIONS[kind]))})"
        for kind in depends_on
        if (had := _provides(kind, proven_on)) != _provides(kind, machine)
    )


def _provides(kind: Arithmetic, machine: Machine) -> bool:
    return bool(INSTRUCTIONS[kind] & set(machine["features"]))


def _describe_mac() -> Machine:
    try:
        lines = subprocess.run(SYSCTL, capture_output=True, text=True, check=True, timeout=10).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        lines = []
    found = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = {feature for name, feature in OF_MACOS.items() if found.get(name) == "1"}
    return {
        "architecture": {"arm64": "aarch64"}.get(platform.machine(), platform.machine()),
        "cpu": found.get("machdep.cpu.brand_string", "unknown"),
        "features": [feature for feature in FEATURES if feature in flags],
    }


def _first_cpu(cpuinfo: Path) -> dict[str, str]:
    if not cpuinfo.is_file():
        return {}
    lines = cpuinfo.read_text().split("\n\n", 1)[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
