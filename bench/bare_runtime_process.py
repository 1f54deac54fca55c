"""Runs `bench.bare_runtime` in a process of its own on the server's core."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.arrival_times import DURATION
from bench.bare_runtime_waits import Waits
from bench.subject import WORK
from deploy.measurement.process import MeasurementError, spawned

BULK = 512
"""Texts that are sorted at a time where connections do not limit them, as in a bulk job."""

GRACE_SECONDS = 120
MAX_ROUNDS = 2 + 2 * DURATION


@dataclass(frozen=True)
class BareRuntimeProcess:
    """``texts_at_once``: how many texts are sorted into batches."""

    variant: str
    bundle: Path
    texts_at_once: int

    @property
    def name(self) -> str:
        return f"onnxruntime alone, {self.variant}, {self.texts_at_once} at once"

    def measure_rate(self, texts: Sequence[str], seconds: float, cpus: set[int], logs: Path) -> float:
        """Answers a second; raises MeasurementError."""
        result = self._run("bench.bare_runtime", texts, [seconds, self.texts_at_once], cpus, logs)
        return float(result["answered"]) / float(result["seconds"])

    def measure_waits(self, texts: Sequence[str], seconds: float, seed: int, cpus: set[int], logs: Path) -> Waits:
        """Raises MeasurementError."""
        return Waits(**self._run("bench.bare_runtime_waits", texts, [seconds, self.texts_at_once, seed], cpus, logs))

    def _run(self, module: str, texts: Sequence[str], numbers: Sequence[float], cpus: set[int], logs: Path) -> Any:
        queries = WORK / "queries.json"
        queries.parent.mkdir(parents=True, exist_ok=True)
        queries.write_text(json.dumps(texts), encoding="utf-8")
        paths = [str(self.bundle.absolute()), str(queries.absolute())]
        log = logs / f"bare-runtime-{self.variant}.log"
        with spawned(
            self.name, [sys.executable, "-m", module, *paths, *map(str, numbers)], log=log, cpus=cpus
        ) as child:
            if child.process.wait(GRACE_SECONDS + MAX_ROUNDS * numbers[0]):
                raise MeasurementError(child.explain(f"ended with status {child.process.returncode}"))
        return json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
