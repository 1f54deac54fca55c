"""The energy of a training: the sum of the processors' counters, or honestly nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.run.energy import EnergyMeter


def package(root: Path, number: int, microjoules: int, most: int = 1_000_000_000) -> Path:
    """A counter as Linux shows it, with a part of it beneath."""
    folder = root / f"intel-rapl:{number}"
    for each in (folder, root / f"intel-rapl:{number}:0"):
        each.mkdir(exist_ok=True)
        (each / "energy_uj").write_text(f"{microjoules}\n")
        (each / "max_energy_range_uj").write_text(f"{most}\n")
    return folder


def test_packages_are_summed_and_parts_are_not(tmp_path: Path) -> None:
    """What two packages used since the meter began, in joules; their parts are in them already."""
    for number in (0, 1):
        package(tmp_path, number, 1_000_000)
    meter = EnergyMeter(tmp_path)
    package(tmp_path, 0, 3_000_000)
    package(tmp_path, 1, 1_500_000)
    assert meter.joules == pytest.approx(2.5)


def test_a_counter_that_begins_anew(tmp_path: Path) -> None:
    """A counter that has run over counts on."""
    package(tmp_path, 0, 9_000_000, most=10_000_000)
    meter = EnergyMeter(tmp_path)
    package(tmp_path, 0, 1_000_000, most=10_000_000)
    assert meter.joules == pytest.approx(2.0)


@pytest.mark.parametrize("content", [None, "", "nothing"])
def test_no_counter_is_no_figure(tmp_path: Path, content: str | None) -> None:
    """Without a counter, or with one that cannot be read, there is no figure, and not one of zero."""
    if content is not None:
        (package(tmp_path, 0, 0) / "energy_uj").write_text(content)
    assert EnergyMeter(tmp_path).joules is None
