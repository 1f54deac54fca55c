"""What this machine is, as the bundle records it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from serving.bundle.cpu import FEATURES, Arithmetic, Machine, cpu_mismatches, describe_machine

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R): Platinum 8488C
flags\t\t: fpu vme sse4_2 avx avx2 avx512f avx512_vnni amx_int8 amx_tile
bugs\t\t:

processor\t: 1
model name\t: Another
flags\t\t: fpu avx_vnni

processor\t: 2
model name\t: A third
"""

ARM = """processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd asimddp i8mm sve
CPU implementer\t: 0x41
"""


@pytest.mark.parametrize(
    ("cpuinfo", "cpu", "features"),
    [
        (X86, "Intel(R) Xeon(R): Platinum 8488C", ["avx2", "avx512f", "avx512_vnni", "amx_int8"]),
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


SYSCTL = """machdep.cpu.cores_per_package: 10
machdep.cpu.brand_string: Apple M4
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: {i8mm}
hw.optional.floatingpoint: 1
"""


@pytest.mark.parametrize(("i8mm", "features"), [(1, ["asimddp", "i8mm"]), (0, ["asimddp"])])
def test_a_mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, i8mm: int, features: list[str]) -> None:
    """Its architecture and instructions have Linux's names, so that a bundle proven there serves on arm64 of Linux."""
    (tmp_path / "text").write_text(SYSCTL.format(i8mm=i8mm))
    _pretend_mac(monkeypatch, "cat", str(tmp_path / "text"))
    assert describe_machine() == {"architecture": "aarch64", "cpu": "Apple M4", "features": features}


@pytest.mark.parametrize("command", ["false", "no-such-program"])
def test_a_mac_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Its CPU is unknown, which is no error."""
    _pretend_mac(monkeypatch, command)
    assert describe_machine() == {"architecture": "aarch64", "cpu": "unknown", "features": []}


def _pretend_mac(monkeypatch: pytest.MonkeyPatch, *command: str) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr("serving.bundle.cpu.SYSCTL", command)


DOT_PRODUCTS = "int8-dot-product instructions and this machine's has"
LISTED = "(amx_int8, asimddp, avx512_vnni, avx_vnni, i8mm)"


@pytest.mark.parametrize(
    ("depends_on", "proven_on", "machine", "mismatches"),
    [
        ([], ["x86_64", "avx512_vnni"], ["aarch64"], ()),
        (["bfloat16"], ["x86_64"], ["aarch64"], ("it was proven on x86_64 and this machine is aarch64",)),
        (["int8-dot-product"], ["x86_64", "avx512_vnni"], ["x86_64", "avx2", "avx_vnni"], ()),
        (["int8-dot-product"], ["x86_64", "avx2"], ["x86_64", "avx512_bf16"], ()),
        (
            ["int8-dot-product", "bfloat16"],
            ["x86_64", "amx_int8", "amx_bf16"],
            ["x86_64", "amx_bf16"],
            (f"it was proven on a CPU with {DOT_PRODUCTS} none {LISTED}",),
        ),
        (
            ["int8-dot-product", "bfloat16"],
            ["x86_64", "amx_bf16"],
            ["x86_64", "avx_vnni"],
            (
                f"it was proven on a CPU without {DOT_PRODUCTS} some {LISTED}",
                "it was proven on a CPU with bfloat16 instructions and this machine's has none (amx_bf16, avx512_bf16)",
            ),
        ),
    ],
)
def test_mismatches(
    depends_on: list[Arithmetic], proven_on: list[str], machine: list[str], mismatches: tuple[str, ...]
) -> None:
    """A line for each arithmetic that only one machine has, whichever instructions give it; float32 needs none."""
    proven, here = (Machine(architecture=name, cpu="", features=features) for name, *features in (proven_on, machine))
    assert cpu_mismatches(depends_on, proven, here) == mismatches
