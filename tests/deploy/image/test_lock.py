"""The image's requirement files: every package of requirements.txt with hashes, for each environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.image.install import normalize
from deploy.image.lock import (
    ENVIRONMENTS,
    FOLDER,
    MACHINES,
    Environment,
    format_pins,
    holds,
    installed,
    markers_of,
    read_hashes,
    read_pins,
    requirements_of,
    sha256_of,
)
from tests.paths import ROOT


def hashes_of(file: str) -> dict[str, list[str]]:
    """The hashes by pin."""
    return {pin: [each.rpartition(":")[2] for each in found] for pin, found in read_hashes(FOLDER / file).items()}


def server_pins() -> set[str]:
    """The versions of requirements.txt."""
    return set(map(spelled, read_pins(ROOT / "requirements.txt").values()))


def spelled(pin: str) -> str:
    """The pin as names are compared."""
    name, _, version = pin.partition("==")
    return f"{normalize(name)}=={version}"


def test_the_cpu_file_is_requirements_txt() -> None:
    """Same versions; the packages with compiled parts have a wheel for each system, processor type and Python."""
    hashes = hashes_of("requirements-cpu.txt")
    assert {spelled(pin) for pin in hashes} == server_pins()
    compiled = {pin.partition("==")[0]: len(each) for pin, each in hashes.items()}
    assert compiled["numpy"] == compiled["onnxruntime"] == len(ENVIRONMENTS)
    assert compiled["tokenizers"] == len(MACHINES)  # one wheel for all Pythons
    assert compiled["starlette"] == 1


def test_the_cuda_file_differs_in_onnxruntime_alone() -> None:
    """It adds the build for GPUs and CUDA's libraries."""
    pins = {spelled(pin) for pin in hashes_of("requirements-cuda.txt")}
    assert {pin.partition("==")[0] for pin in server_pins() - pins} == {"onnxruntime"}
    assert all(pin.startswith(("nvidia-", "onnxruntime-gpu==")) for pin in pins - server_pins())
    assert read_pins(FOLDER / "requirements-cuda.txt")["onnxruntime-gpu"]
    assert all(hashes_of("requirements-cuda.txt").values())


def test_markers_hold_where_they_say() -> None:
    """Each environment gets the requirements that are for it, as pip reads them."""
    given = ["awslambdaric==4 ; sys_platform == 'linux'", "numpy==2", "uvloop==1 ; sys_platform != 'win32'"]
    linux, mac = Environment("linux", "x86_64", "3.14"), Environment("macos", "arm64", "3.14")
    assert requirements_of(given, linux) == ["awslambdaric==4", "numpy==2", "uvloop==1"]
    assert requirements_of(given, mac) == ["numpy==2", "uvloop==1"]
    assert markers_of(given) == {"awslambdaric": 'sys_platform == "linux"'}


def test_pins_are_read_back(tmp_path: Path) -> None:
    """Names as they are compared; markers and hashes apart."""
    file = tmp_path / "pins.txt"
    markers = {"a-b": 'sys_platform == "linux"'}
    file.write_text("\n".join(["# a == comment", *format_pins({"A_b==1": {64 * "c"}, "d==2": {64 * "e"}}, markers)]))
    assert read_pins(file) == {"a-b": "A_b==1", "d": "d==2"}
    assert read_hashes(file) == {"A_b==1": [f"--hash=sha256:{64 * 'c'}"], "d==2": [f"--hash=sha256:{64 * 'e'}"]}


def test_hashes_are_written_as_pip_reads_them() -> None:
    """One line a hash, sorted."""
    assert format_pins({"b==2": {"ff", "aa"}, "A==1": {"cc"}}) == [
        "A==1 \\\n    --hash=sha256:cc",
        "b==2 \\\n    --hash=sha256:aa \\\n    --hash=sha256:ff",
    ]


SOME = ENVIRONMENTS if "TUNESHIP_TEST_LONG" in os.environ else ENVIRONMENTS[3::3]
"""Of each system and processor type one."""


@pytest.mark.slow
@pytest.mark.parametrize("environment", SOME, ids=lambda each: f"{each.system}-{each.machine}-{each.python}")
def test_every_wheel_is_there(environment: Environment) -> None:
    """pip finds the locked wheel of each pin, and the pins need no package that isn't pinned."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()[1:]
    pins = requirements_of(lines, environment)
    entries = installed(["--no-deps", *pins], environment)
    assert len(entries) == len(pins) >= len(lines) - 1
    locked = {digest for each in hashes_of("requirements-cpu.txt").values() for digest in each}
    assert {sha256_of(entry) for entry in entries} <= locked
    needed = [Requirement(line) for entry in entries for line in entry["metadata"].get("requires_dist", [])]
    names = {normalize(each.name) for each in needed if holds(each, environment)}
    assert names <= {spelled(pin).partition("==")[0] for pin in pins}
