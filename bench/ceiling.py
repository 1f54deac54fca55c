"""The bare runtime's row of the table: `bench.raw` in a process of its own, on the server's core."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import MeasurementError
from bench.process import spawned
from bench.subject import WORK

IN_HAND = 512
"""Texts that are sorted together where there is no limit by connections: a bulk job's."""

GRACE_SECONDS = 120


@dataclass(frozen=True)
class Ceiling:
    """What is to be run bare.

    Attributes:
        in_hand: how many texts are there to be sorted: as many as there are connections, or a bulk job's.
    """

    variant: str
    bundle: Path
    in_hand: int

    @property
    def name(self) -> str:
        """As the table has it."""
        return f"raw runtime, {self.variant}, {self.in_hand} in hand"

    def measure(self, texts: Sequence[str], seconds: float, cpus: set[int], logs: Path) -> float:
        """Answers a second; raises MeasurementError where the process fails."""
        queries = WORK / "queries.json"
        queries.parent.mkdir(parents=True, exist_ok=True)
        queries.write_text(json.dumps(texts), encoding="utf-8")
        words = [str(self.bundle.absolute()), str(queries.absolute()), str(seconds), str(self.in_hand)]
        log = logs / f"raw-{self.variant}.log"
        with spawned(self.name, [sys.executable, "-m", "bench.raw", *words], log=log, cpus=cpus) as child:
            if child.process.wait(seconds + GRACE_SECONDS):
                raise MeasurementError(child.explain(f"ended with status {child.process.returncode}"))
        found = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        return float(found["answered"]) / float(found["seconds"])
