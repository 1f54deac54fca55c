"""The bare runtime, of the servers' table and of their waits: in a process of its own, on the server's core."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chance import LAST
from bench.errors import MeasurementError
from bench.process import spawned
from bench.raw_waits import Waits
from bench.subject import WORK

IN_HAND = 512
"""Texts that are sorted together where there is no limit by connections: a bulk job's."""

GRACE_SECONDS = 120
ROUNDS_AT_MOST = 2 + 2 * LAST
"""What the longest of its measurements takes, in rounds."""


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
        found = self._run("bench.raw", texts, [seconds, self.in_hand], cpus, logs)
        return float(found["answered"]) / float(found["seconds"])

    def waits(self, texts: Sequence[str], seconds: float, seed: int, cpus: set[int], logs: Path) -> Waits:
        """How long a text waits, when so many are in hand at most; raises MeasurementError where the process fails."""
        return Waits(**self._run("bench.raw_waits", texts, [seconds, self.in_hand, seed], cpus, logs))

    def _run(self, module: str, texts: Sequence[str], words: Sequence[float], cpus: set[int], logs: Path) -> Any:
        """The JSON in the last line that a module prints of this bundle and these texts."""
        queries = WORK / "queries.json"
        queries.parent.mkdir(parents=True, exist_ok=True)
        queries.write_text(json.dumps(texts), encoding="utf-8")
        command = [sys.executable, "-m", module, str(self.bundle.absolute()), str(queries.absolute()), *map(str, words)]
        log = logs / f"raw-{self.variant}.log"
        with spawned(self.name, command, log=log, cpus=cpus) as child:
            if child.process.wait(GRACE_SECONDS + ROUNDS_AT_MOST * words[0]):
                raise MeasurementError(child.explain(f"ended with status {child.process.returncode}"))
        return json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
