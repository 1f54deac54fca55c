"""The energy that the processors used, by their own counters, where the machine shows them.

Linux has them as the power capping framework's ``energy_uj``, in microjoules, for Intel's processors and AMD's
(https://docs.kernel.org/power/powercap/powercap.html). They tell of whole processor packages, with whatever else runs
there, and of no accelerator. Virtual machines have none as a rule, and since 2020 only root may read them.
"""

from __future__ import annotations

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")

Reading = dict[Path, tuple[int, int]]
"""Each package's counter in microjoules, and where it begins anew."""


class EnergyMeter:
    """Counts from when it is made."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._root = root
        self._begun = self._read()

    @property
    def joules(self) -> float | None:
        """Of all packages since then; None where there is no counter, or where it cannot be read."""
        now = self._read()
        if not self._begun or now.keys() != self._begun.keys():
            return None
        spent = ((now[each][0] - before) % most for each, (before, most) in self._begun.items())
        return sum(spent) / 1e6

    def _read(self) -> Reading:
        packages = [each for each in self._root.glob("intel-rapl:*") if each.name.count(":") == 1]
        try:
            return {each: (_number(each / "energy_uj"), _number(each / "max_energy_range_uj")) for each in packages}
        except (OSError, ValueError):
            return {}


def _number(path: Path) -> int:
    return int(path.read_text())
