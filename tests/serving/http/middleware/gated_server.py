"""The `tuneship` command with an engine that waits for as long as a file exists: ``python -m … GATE serve BUNDLE``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tuneship
from serving.inference.predictor import Predictor


def close_behind(gate: Path) -> None:
    """Make every predictor wait."""
    run_batch = Predictor.run_batch

    def gated(self: Predictor, windows: Sequence[Any], length: int = 0) -> list[Any]:
        while gate.exists():
            time.sleep(0.002)
        return run_batch(self, windows, length)

    Predictor.run_batch = gated  # type: ignore[method-assign]


if __name__ == "__main__":
    close_behind(Path(sys.argv.pop(1)))
    tuneship.main()
