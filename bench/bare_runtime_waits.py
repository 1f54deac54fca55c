"""How long texts wait for onnxruntime without a server, printed as one line of JSON.

Run as ``python -m bench.bare_runtime_waits BUNDLE QUERIES SECONDS CONNECTIONS SEED``.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from bench.arrival_times import DURATION, LOAD
from bench.bare_runtime import BareRuntime, measure
from deploy.capacity.arrivals import arrival_times
from serving.batching.batch_shape import QueueLimits
from serving.batching.scheduler import Queue, Row
from serving.bundle.bundle import Bundle


@dataclass(frozen=True)
class Waits:
    """Seconds: the median of texts one after another (``alone``), and the 99th percentile of Poisson arrivals at `LOAD`
    of the rate of all connections (``busy``) and of one (``calm``).
    """

    alone: float
    busy: float
    calm: float

    @classmethod
    def measure(cls, runtime: BareRuntime, texts: Sequence[str], seconds: float, connections: int, seed: int) -> Self:
        def percentile_99(rate: float) -> float:
            due = arrival_times(LOAD * rate, DURATION * seconds, seed)
            return float(np.percentile(measure_waits(runtime, zip(due, itertools.cycle(texts), strict=False)), 99))

        alone = measure_one_by_one(runtime, texts, seconds)
        full = measure(runtime, texts, seconds, connections)
        busy, calm = percentile_99(full["answered"] / full["seconds"]), percentile_99(len(alone) / seconds)
        return cls(float(np.median(alone)), busy, calm)


def measure_one_by_one(runtime: BareRuntime, texts: Iterable[str], seconds: float) -> list[float]:
    """Seconds for each text."""
    durations, end = list[float](), time.perf_counter() + seconds
    for text in itertools.cycle(texts):
        if (start := time.perf_counter()) > end:
            break
        runtime.together(runtime.encode([text]))
        durations.append(time.perf_counter() - start)
    return durations


def measure_waits(runtime: BareRuntime, arrivals: Iterable[tuple[float, str]]) -> list[float]:
    """Seconds from each text's arrival to its answer, in the server's batches."""
    coming, waits, start = deque(arrivals), list[float](), time.perf_counter()
    queue = Queue(runtime.shape, QueueLimits(rows=len(coming), tokens=sys.maxsize), seconds_per_token=0.0)
    while coming or len(queue):
        if not len(queue):
            time.sleep(max(0.0, start + coming[0][0] - time.perf_counter()))
        now = time.perf_counter() - start
        while coming and coming[0][0] <= now:
            due, text = coming.popleft()
            ids = runtime.encode([text])[0]
            queue.put([Row(len(ids), owner=(due, ids))], now)
        batch = [row.owner for row in queue.take(now).batch]
        if batch:
            runtime.together([ids for _, ids in batch])
        done = time.perf_counter() - start
        waits += [done - due for due, _ in batch]
    return waits


if __name__ == "__main__":
    path, queries, *numbers = sys.argv[1:]
    runtime = BareRuntime(Bundle.open(Path(path)))
    texts = json.loads(Path(queries).read_text(encoding="utf-8"))
    runtime.best(texts[:256])
    print(json.dumps(asdict(Waits.measure(runtime, texts, float(numbers[0]), int(numbers[1]), int(numbers[2])))))
