"""Streamed trainings of few and of many rows: is the memory the same, and when is the first step done?"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.figures import Figure
from deploy.measurement.process import MeasurementError, spawned

ROWS = (500_000, 5_000_000)
STEPS, BATCH, HELD_OUT = 200, 32, 5_000
WORDS, LABELS, SEED = 2_000, 8, 0
MOST_BYTES_A_ROW = 100
"""Of a row more: 28 that stay, and arrays while rows are split and compared."""
FIRST_STEP_SECONDS = 60
LIMIT = 3600.0


def measure_streaming(logs: Path, counts: Sequence[int] = ROWS) -> list[Figure]:
    """Of the first and the last of these numbers of rows; the files are written and removed."""
    few, many = (_train(count, logs) for count in counts)
    more = max(many["first_step"]["peak"] - few["first_step"]["peak"], 0) / (counts[1] - counts[0])
    pace = BATCH * (many["steps"] - 1) / (many["last_step"]["seconds"] - many["first_step"]["seconds"])
    seconds = many["first_step"]["seconds"]
    name = f"streamed, {counts[1]:,} rows"
    return [
        Figure(f"{name}: first step after", seconds, "s", failed=seconds > FIRST_STEP_SECONDS,
               note=f"{many['first_step']['cpu_seconds']:.0f} s of CPU; the file has {many['bytes'] / 1e6:.0f} MB"),
        Figure(f"{name}: memory at the peak", many["ended"]["peak"] / 1e6, "MB"),
        Figure(f"streamed, {counts[0]:,} rows: memory at the peak", few["ended"]["peak"] / 1e6, "MB"),
        Figure("each row more takes", more, "bytes", failed=more > MOST_BYTES_A_ROW),
        Figure("training of a tiny model", pace, "rows/s"),
    ]  # fmt: skip


def write_rows(path: Path, count: int) -> int:
    """Distinct texts of 5 to 17 words; returns the file's bytes."""
    chance = random.Random(SEED)
    words = [f"w{number}" for number in range(WORDS)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            text = f"order {number} {' '.join(chance.choices(words, k=chance.randrange(3, 16)))}"
            file.write(json.dumps({"text": text, "label": f"label {chance.randrange(LABELS)}"}) + "\n")
    return path.stat().st_size


def _train(count: int, logs: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        place, result = Path(folder), Path(folder) / "result.json"
        size = write_rows(place / "rows.jsonl", count)
        recipe = write_recipe(place, HELD_OUT / count)
        command = [sys.executable, "-m", "bench.streaming_process", str(recipe), str(result)]
        with spawned("streaming", command, log=logs / "streaming.log") as child:
            if child.process.wait(LIMIT):
                raise MeasurementError(f"streaming: failed; see {logs / 'streaming.log'}")
        found: dict[str, Any] = json.loads(result.read_text())
    return found | {"bytes": size}


def write_recipe(folder: Path, fraction: float) -> Path:
    """Of rows.jsonl, a tiny model and few steps."""
    from tests.tiny import make_backbone

    make_backbone(folder / "model")
    recipe = {
        "task": "text-classification",
        "model": str(folder / "model"),
        "data": {"train": "rows.jsonl", "test": fraction, "validation": fraction, "streaming": True},
        "training": {"max_steps": STEPS, "per_device_train_batch_size": BATCH, "bf16": False},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"
