"""One streamed training of a tiny model, whose seconds and bytes are written as JSON.

    python -m bench.streaming_process RECIPE RESULT

Bytes are those of the process that no file backs (Linux's RssAnon), sampled: what must fit into memory.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
EVERY = 0.02
"""Seconds between two samples."""


def anonymous_memory() -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", STATUS.read_text())
    return int(found[1]) * 1024 if found else 0


class Sampler(threading.Thread):
    """The largest of all samples so far."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, anonymous_memory())
            time.sleep(EVERY)


def main(recipe: str, result: str) -> None:
    began, sampler = time.monotonic(), Sampler()
    sampler.start()
    from transformers import TrainerCallback

    from trainer.recipe.recipe import load_recipe
    from trainer.train import train

    found: dict[str, Any] = {}

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            now = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time(), "peak": sampler.peak}
            found.setdefault("first_step", now)
            found.update(last_step=now, steps=state.global_step)

    with tempfile.TemporaryDirectory() as folder:
        train(load_recipe(Path(recipe)), Path(folder) / "run", callbacks=[Clock()])
    ended = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time(), "peak": sampler.peak}
    Path(result).write_text(json.dumps(found | {"ended": ended}))


if __name__ == "__main__":
    main(*sys.argv[1:])
