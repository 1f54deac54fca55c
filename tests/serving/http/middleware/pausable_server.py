"""The `tuneship` command with an engine that waits for as long as a file exists: ``python -m … PAUSE serve BUNDLE``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tuneship
from serving.inference.predictor import Predictor


def pause_while_exists(pause: Path) -> None:
    """Make every predictor wait while the file exists."""
    run_batch = Predictor.run_batch

    def pausable(self: Predictor, windows: Sequence[Any], length: int = 0) -> list[Any]:
        while pause.exists():
            time.sleep(0.002)
        return run_batch(self, windows, length)

    Predictor.run_batch = pausable  # type: ignore[method-assign]


if __name__ == "__main__":
    pause_while_exists(Path(sys.argv.pop(1)))
    tuneship.main()
