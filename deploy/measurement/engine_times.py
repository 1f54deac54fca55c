"""``python -m deploy.measurement.engine_times BUNDLE THREADS``: seconds of the engine's calls, as JSON.

In a process of its own, so that it can be given the CPUs of the server that is measured.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from deploy.capacity.service_times import BatchTime
from serving.batching.batch_shape import BatchShape
from serving.inference.predictor import Predictor

LENGTHS = 6
"""Of windows that are measured, from the shortest to the longest golden one."""

SECONDS_A_CALL = 0.15
"""Of repeats of one call; but LEAST_REPEATS at least."""

LEAST_REPEATS = 5

SECONDS_OF_LONE_REQUESTS = 1.5

REPEATS_OF_WORK = 20


def measure_calls(predictor: Predictor) -> list[BatchTime]:
    """By rows and tokens, medians; each within the batches that the server makes."""
    return [
        BatchTime(rows, len(window.ids), _median_seconds(predictor, [window] * rows))
        for window in _windows(predictor)
        for rows in row_counts(predictor.shape, len(window.ids))
    ]


def golden_windows(predictor: Predictor) -> list[list[Any]]:
    """The windows of each golden input."""
    items = [predictor.check(row.inputs) for row in predictor.bundle.golden]
    return [list(each.windows) for each in predictor.encode(items)]


def _windows(predictor: Predictor) -> list[Any]:
    """Golden windows of different lengths, evenly over the ranks."""
    by_length = {len(window.ids): window for windows in golden_windows(predictor) for window in windows}
    lengths = sorted(by_length)
    chosen = {lengths[round(step * (len(lengths) - 1) / (LENGTHS - 1))] for step in range(LENGTHS)}
    return [by_length[length] for length in sorted(chosen)]


def row_counts(shape: BatchShape, tokens: int) -> Iterator[int]:
    """1, 2, 4, … as long as such rows share a call."""
    rows = 1
    while shape.fits(rows, tokens, tokens):
        yield rows
        rows *= 2


def _median_seconds(predictor: Predictor, windows: Sequence[Any]) -> float:
    predictor.run_batch_finite(windows)
    taken: list[float] = []
    end = time.perf_counter() + SECONDS_A_CALL
    while len(taken) < LEAST_REPEATS or time.perf_counter() < end:
        start = time.perf_counter()
        predictor.run_batch_finite(windows)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def lone_seconds(predictor: Predictor, requests: Sequence[Sequence[Any]]) -> tuple[float, float]:
    """Median time of a request that is alone, and its mean CPU time, over all threads."""
    taken: list[float] = []
    start, end = time.process_time(), time.perf_counter() + SECONDS_OF_LONE_REQUESTS
    while len(taken) < len(requests) or time.perf_counter() < end:
        began = time.perf_counter()
        predictor.run(requests[len(taken) % len(requests)])
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), (time.process_time() - start) / len(taken)


def work_around(predictor: Predictor) -> tuple[float, float]:
    """Mean CPU time of a golden input's tokens, and of its answer as JSON; 0.0 for texts that are generated."""
    rows, repeats = predictor.bundle.golden, range(REPEATS_OF_WORK)
    start = time.process_time()
    for _ in repeats:
        encoded = [predictor.encode([predictor.check(row.inputs)])[0] for row in rows]
    encoding = (time.process_time() - start) / len(rows) / len(repeats)
    if predictor.runs_in_slices:
        return encoding, 0.0
    results = [predictor.run(each.windows) for each in encoded]
    start = time.process_time()
    for _ in repeats:
        for each, result in zip(encoded, results, strict=True):
            orjson.dumps(predictor.task.answer(each, result))
    return encoding, (time.process_time() - start) / len(rows) / len(repeats)


def main(bundle: str, threads: str) -> None:
    predictor = Predictor.open(Path(bundle), threads=int(threads))
    windows = golden_windows(predictor)
    seconds, cpu_seconds = lone_seconds(predictor, windows)
    encoding, decoding = work_around(predictor)
    record = {
        "variant": predictor.choice.served,
        "calls": [] if predictor.runs_in_slices else measure_calls(predictor),
        "requests": [[len(window.ids) for window in each] for each in windows],
        "lone_seconds": seconds,
        "lone_cpu_seconds": cpu_seconds,
        "encoding_seconds": encoding,
        "decoding_seconds": decoding,
    }
    json.dump(record, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
