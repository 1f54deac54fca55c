"""The predictor's batches by length, compared with one padded batch."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.comparison import ratios
from bench.figures import Figure, median_of
from bench.subject import Subject
from deploy.measurement.process import pinned
from serving.inference.predictor import Predictor

ROWS = 32
QUERIES = 960


def measure_batching(subject: Subject, repeats: int) -> list[Figure]:
    texts = random.Random(0).sample(subject.texts, min(QUERIES, len(subject.texts)))
    by_length, padded = list[float](), list[float]()
    with pinned({0}):
        predictor = Predictor.open(subject.bundles["fp32"].absolute())
        for _ in range(repeats):
            by_length.append(_measure_rate(predictor, predictor.run, texts))
            padded.append(_measure_rate(predictor, predictor.run_batch, texts))
    return [
        median_of("predictor, fp32, 32 random queries", by_length, "per s"),
        median_of("the same in one padded batch", padded, "per s"),
        median_of("batches by length ÷ one padded batch", ratios(by_length, padded), "×"),
    ]


def _measure_rate(predictor: Predictor, run: Callable[[Sequence[Any]], Any], texts: Sequence[str]) -> float:
    windows = [window for each in predictor.encode(texts) for window in each.windows]
    start = time.perf_counter()
    for first in range(0, len(windows), ROWS):
        run(windows[first : first + ROWS])
    return len(windows) / (time.perf_counter() - start)
