"""What the predictor's batching brings: 32 random queries at a time, in batches of like length against one batch."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.figures import Figure, median_of
from bench.process import pinned
from bench.subject import Subject
from serving.inference.predictor import Predictor

ROWS_AT_A_TIME = 32
QUERIES = 960


def measure_batching(subject: Subject, repeats: int) -> list[Figure]:
    """Queries a second of the fp32 bundle on one core, both ways in turn, and their ratio pair by pair."""
    texts = random.Random(0).sample(subject.texts, min(QUERIES, len(subject.texts)))
    with pinned({0}):
        predictor = Predictor.open(subject.bundles["fp32"].absolute())
        ways = (predictor.run, predictor.run_batch)
        pairs = [tuple(_rate(predictor, way, texts) for way in ways) for _ in range(repeats)]
    return [
        median_of("predictor, fp32, 32 random queries", [mine for mine, _ in pairs], "per s"),
        median_of("the same in one padded batch", [other for _, other in pairs], "per s"),
        median_of("like lengths ÷ one batch", [mine / other for mine, other in pairs], "×"),
    ]


def _rate(predictor: Predictor, run: Callable[[Sequence[Any]], Any], texts: Sequence[str]) -> float:
    windows = [window for each in predictor.encode(texts) for window in each.windows]
    start = time.perf_counter()
    for first in range(0, len(windows), ROWS_AT_A_TIME):
        run(windows[first : first + ROWS_AT_A_TIME])
    return len(windows) / (time.perf_counter() - start)
