"""The image's requirement files: every package of requirements.txt with hashes, for both processor types."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from deploy.image.lock import format_pins, installed
from tests.paths import ROOT

FOLDER = ROOT / "deploy" / "image"


def hashes_of(file: str) -> dict[str, list[str]]:
    """The hashes by pin."""
    entries = re.split(r"\n(?=\w)", (FOLDER / file).read_text().partition("\n")[2])
    return {entry.split()[0]: re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry) for entry in entries if entry}


def server_pins() -> set[str]:
    """The lines of requirements.txt."""
    return {spelled(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}


def spelled(pin: str) -> str:
    """The pin as names are compared."""
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def test_the_cpu_file_is_requirements_txt() -> None:
    """Same versions; the packages with compiled parts have a wheel for either processor type."""
    hashes = hashes_of("requirements-cpu.txt")
    assert {spelled(pin) for pin in hashes} == server_pins()
    assert all(len(each) in (1, 2) for each in hashes.values())
    compiled = {pin.partition("==")[0]: len(each) for pin, each in hashes.items()}
    assert [compiled[name] for name in ("onnxruntime", "numpy", "tokenizers", "awslambdaric")] == [2, 2, 2, 2]


def test_the_cuda_file_differs_in_onnxruntime_alone() -> None:
    """It adds the build for GPUs and CUDA's libraries."""
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["gpu"]
    gpu = {re.sub(r"\[.*\]", "", pin) for pin in extra}
    pins = {spelled(pin) for pin in hashes_of("requirements-cuda.txt")}
    assert {pin.partition("==")[0] for pin in server_pins() - pins} == {"onnxruntime"}
    assert gpu <= pins
    assert all(pin.startswith("nvidia-") for pin in pins - server_pins() - gpu)
    assert all(hashes_of("requirements-cuda.txt").values())


def test_hashes_are_written_as_pip_reads_them() -> None:
    """One line a hash, sorted."""
    assert format_pins({"b==2": {"ff", "aa"}, "A==1": {"cc"}}) == [
        "A==1 \\\n    --hash=sha256:cc",
        "b==2 \\\n    --hash=sha256:aa \\\n    --hash=sha256:ff",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.14"])
def test_every_wheel_is_there_for_arm64(python: str, tmp_path: Path) -> None:
    """pip finds a wheel of each pin for aarch64; for the image's Python, the locked one."""
    pins = tmp_path / "pins.txt"
    pins.write_text("\n".join(sorted(server_pins())))
    entries = installed(["--no-deps", "--requirement", str(pins)], "aarch64", python)
    assert len(entries) == len(server_pins())
    if python == "3.11":
        locked = {digest for each in hashes_of("requirements-cpu.txt").values() for digest in each}
        assert {entry["download_info"]["archive_info"]["hashes"]["sha256"] for entry in entries} <= locked
