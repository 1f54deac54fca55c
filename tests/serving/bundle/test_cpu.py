"""What this machine is, as the bundle records it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from serving.bundle.cpu import FEATURES, describe_machine

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8488C
flags\t\t: fpu vme sse4_2 avx avx2 avx512f avx512_vnni amx_int8 amx_tile
bugs\t\t:

processor\t: 1
model name\t: Another
flags\t\t: fpu avx_vnni
"""

ARM = """processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd asimddp i8mm sve
CPU implementer\t: 0x41
"""


@pytest.mark.parametrize(
    ("cpuinfo", "cpu", "features"),
    [
        (X86, "Intel(R) Xeon(R) Platinum 8488C", ["avx2", "avx512f", "avx512_vnni", "amx_int8"]),
        (ARM, "unknown", ["asimddp", "i8mm"]),
        ("", "unknown", []),
    ],
)
def test_sample(tmp_path: Path, cpuinfo: str, cpu: str, features: list[str]) -> None:
    """Model and vector instructions are those of the first CPU, on x86 and on Arm."""
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    machine = describe_machine(tmp_path / "cpuinfo")
    assert machine == {"architecture": platform.machine(), "cpu": cpu, "features": features}


def test_no_cpuinfo(tmp_path: Path) -> None:
    """Where there is no such file the machine is unknown, which is no error."""
    assert describe_machine(tmp_path / "cpuinfo")["features"] == []


def test_this_machine() -> None:
    """This machine is described by known features only."""
    machine = describe_machine()
    assert machine["architecture"] == platform.machine()
    assert set(machine["features"]) <= set(FEATURES)
