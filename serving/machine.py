"""What this machine is, as far as answers can depend on it: its architecture and the CPU's vector instructions."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "i8mm")
"""The instruction sets onnxruntime's kernels choose by, as Linux names them (x86 first, then Arm)."""


def describe_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, Any]:
    """``architecture``, ``cpu`` (the model's name) and ``features`` (those of FEATURES the CPU has)."""
    fields = _first_cpu(cpuinfo)
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return {
        "architecture": platform.machine(),
        "cpu": fields.get("model name", "unknown"),
        "features": [feature for feature in FEATURES if feature in flags],
    }


def _first_cpu(cpuinfo: Path) -> dict[str, str]:
    if not cpuinfo.is_file():
        return {}
    lines = cpuinfo.read_text().split("\n\n", 1)[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
