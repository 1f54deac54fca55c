"""What a text waits for where nothing but the raw runtime stands behind the queue: the floor under a server's waits.

Run as ``python -m bench.raw_waits BUNDLE QUERIES SECONDS CONNECTIONS SEED``: QUERIES is a JSON file of texts. It prints
`Waits` as one line of JSON.
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

from bench.chance import LAST, SHARE, moments
from bench.raw import Raw, measure
from serving.batching.batch_shape import QueueLimits
from serving.batching.scheduler import Queue, Row
from serving.bundle.bundle import Bundle


@dataclass(frozen=True)
class Waits:
    """What a round found, in seconds.

    Attributes:
        alone: the median of one text behind the other.
        busy: the 99th percentile when texts arrive by chance, at `SHARE` of what is answered with as many in hand as
            there are connections.
        calm: the same, at `SHARE` of what is answered of one text behind the other.
    """

    alone: float
    busy: float
    calm: float

    @classmethod
    def measure(cls, raw: Raw, texts: Sequence[str], seconds: float, connections: int, seed: int) -> Self:
        """One round; each load lasts `LAST` times its seconds."""

        def slowest(rate: float) -> float:
            due = moments(SHARE * rate, LAST * seconds, seed)
            return float(np.percentile(waits(raw, zip(due, itertools.cycle(texts), strict=False)), 99))

        alone = one_behind_the_other(raw, texts, seconds)
        full = measure(raw, texts, seconds, connections)
        busy, calm = slowest(full["answered"] / full["seconds"]), slowest(len(alone) / seconds)
        return cls(float(np.median(alone)), busy, calm)


def one_behind_the_other(raw: Raw, texts: Iterable[str], seconds: float) -> list[float]:
    """What each text takes, going round them for some seconds."""
    found, end = list[float](), time.perf_counter() + seconds
    for text in itertools.cycle(texts):
        if (start := time.perf_counter()) > end:
            break
        raw.together(raw.encode([text]))
        found.append(time.perf_counter() - start)
    return found


def waits(raw: Raw, arrivals: Iterable[tuple[float, str]]) -> list[float]:
    """What each text waits for, from the moment on that it is due at, in batches by the policy of the server."""
    coming, found, start = deque(arrivals), list[float](), time.perf_counter()
    queue = Queue(raw.shape, QueueLimits(rows=len(coming), tokens=sys.maxsize), seconds_per_token=0.0)
    while coming or len(queue):
        if not len(queue):
            time.sleep(max(0.0, start + coming[0][0] - time.perf_counter()))
        now = time.perf_counter() - start
        while coming and coming[0][0] <= now:
            due, text = coming.popleft()
            ids = raw.encode([text])[0]
            queue.put([Row(len(ids), owner=(due, ids))], now)
        batch = [row.owner for row in queue.take(now).batch]
        if batch:
            raw.together([ids for _, ids in batch])
        done = time.perf_counter() - start
        found += [done - due for due, _ in batch]
    return found


if __name__ == "__main__":
    path, queries, *numbers = sys.argv[1:]
    opened = Raw(Bundle.open(Path(path)))
    asked = json.loads(Path(queries).read_text(encoding="utf-8"))
    opened.best(asked[:256])
    print(json.dumps(asdict(Waits.measure(opened, asked, float(numbers[0]), int(numbers[1]), int(numbers[2])))))
