"""What metrics, logs, API keys and time limits cost: ``python -m bench.observing``.

Each layer wraps an endpoint that answers at once; the app is called in process.
"""

from __future__ import annotations

import asyncio
import io
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial

from prometheus_client import Counter, Histogram
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.middleware.access import Gated, KeyGate
from serving.http.middleware.observe import ObservabilityMiddleware
from serving.http.timeouts import Within
from serving.observability.drift import Drift, reference_of
from serving.observability.logs import set_up_logs
from serving.observability.metrics import SECONDS, Metrics
from serving.observability.observers import Observers
from serving.observability.request_record import RequestRecord, record_of
from serving.settings.api_keys import ApiKeys
from serving.settings.log_settings import LogSettings

ROUNDS, REQUESTS = 15, 2000
KEY = "bench-key-0123456789"
HEADERS = [
    (b"host", b"127.0.0.1:3000"), (b"accept", b"*/*"), (b"content-type", b"application/json"),
    (b"content-length", b"40"), (b"user-agent", b"bench"), (b"x-api-key", KEY.encode()),
]  # fmt: skip


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, with the request record filled."""
    if "tuneship.exchange" in scope:
        _fill(record_of(scope))
    await JSONResponse([[{"label": "track_order", "score": 0.98}]])(scope, receive, send)


def _fill(record: RequestRecord) -> None:
    record.model, record.tokens = "bench", 11
    timing = record.timing
    record.encoding = record.encoded = timing.submitted = timing.begun = timing.answered = time.perf_counter()


def never() -> bool:
    return False


def layers() -> dict[str, ASGIApp]:
    quiet, verbose = LogSettings(), LogSettings(format="json", requests=True)
    set_up_logs(verbose, io.StringIO())
    gate = KeyGate(ApiKeys([KEY, KEY[::-1]]), without_key=())
    observed, logged = (Observers(Metrics(), log, traces=False) for log in (quiet, verbose))
    return {
        "bare": endpoint,
        "observed: id, headers, metrics": ObservabilityMiddleware(endpoint, observed.watchers, observed.failed, never),
        "and API keys (2)": ObservabilityMiddleware(Gated(endpoint, [gate]), observed.watchers, observed.failed, never),
        "and a JSON log line": ObservabilityMiddleware(Gated(endpoint, [gate]), logged.watchers, logged.failed, never),
    }


async def _ask(app: ASGIApp) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": HEADERS, "query_string": b""}
    await app(scope, receive, send)


async def _alternate(calls: dict[str, Callable[[], Awaitable[None]]]) -> dict[str, float]:
    """Microseconds per call, the median of alternating rounds."""
    durations: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(REQUESTS):
                await call()
            durations[name].append((time.process_time() - start) / REQUESTS * 1e6)
    return {name: statistics.median(times) for name, times in durations.items()}


async def measure(apps: dict[str, ASGIApp]) -> dict[str, float]:
    return await _alternate({name: partial(_ask, app) for name, app in apps.items()})


def measure_metrics() -> float:
    """Microseconds for one input."""
    metrics = Metrics()
    distributions = [each.labels("bench") for each in (
        metrics.tokens, metrics.tokenize, metrics.waited, metrics.batch_windows, metrics.batch_tokens, metrics.infer,
        metrics.scores,
    )]  # fmt: skip
    counts = [metrics.inputs.labels("bench"), metrics.outcomes.labels("bench", "a")]
    drift = Drift(reference_of(list(range(3, 60)), [("a",), ("b",)] * 20), ["a", "b"])

    def one() -> None:
        for distribution in distributions:
            distribution.observe(0.01)
        for count in counts:
            count.inc()
        drift.saw(11, ("a",))

    return _microseconds(one)


def measure_prometheus_client() -> float:
    """The same with prometheus_client's classes."""
    distributions = [Histogram(f"h{at}", "-", buckets=SECONDS, registry=None) for at in range(7)]
    counts = [Counter(f"c{at}", "-", registry=None) for at in range(2)]

    def one() -> None:
        for distribution in distributions:
            distribution.observe(0.01)
        for count in counts:
            count.inc()

    return _microseconds(one)


async def measure_time_limits() -> dict[str, float]:
    """Microseconds of `Within` and of asyncio.timeout."""

    async def ours() -> None:
        with Within(1.0):
            pass

    async def theirs() -> None:
        async with asyncio.timeout(1.0):
            pass

    return await _alternate({"a time limit": ours, "by asyncio.timeout": theirs})


def _microseconds(call: Callable[[], None], times: int = 20_000) -> float:
    rounds = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            call()
        rounds.append((time.process_time() - start) / times * 1e6)
    return statistics.median(rounds)


def main() -> None:
    durations = asyncio.run(measure(layers()))
    for name, microseconds in durations.items():
        print(f"{name:34} {microseconds:7.1f} µs   +{microseconds - durations['bare']:.1f}")
    print(f"{'metrics of one input':34} {measure_metrics():7.1f} µs")
    print(f"{'the same by prometheus_client':34} {measure_prometheus_client():7.1f} µs")
    for name, microseconds in asyncio.run(measure_time_limits()).items():
        print(f"{name:34} {microseconds:7.1f} µs")


if __name__ == "__main__":
    main()
