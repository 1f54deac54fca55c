"""What it costs to observe and to guard a request, in microseconds of one core, beside the same app without.

    python -m bench.observing

Each layer is put around an endpoint that answers at once, called in process, in rounds that take turns.
"""

from __future__ import annotations

import asyncio
import io
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import cast

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.middleware.access import AccessMiddleware, ApiKeyCheck
from serving.http.middleware.observe import ObservabilityMiddleware
from serving.http.state import ServerState
from serving.http.timeouts import Within
from serving.observability.drift import Drift, reference_of
from serving.observability.logs import set_up_logs
from serving.observability.metrics import Metrics
from serving.observability.observers import Observers
from serving.observability.request_record import KEY as KEY_IN_SCOPE
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
    """Answers at once, with what a real endpoint notes down."""
    if KEY_IN_SCOPE in scope:
        _note(record_of(scope))
    await JSONResponse([[{"label": "track_order", "score": 0.98}]])(scope, receive, send)


def _note(exchange: RequestRecord) -> None:
    exchange.model, exchange.tokens = "bench", 11
    timing = exchange.timing
    exchange.encoding = exchange.encoded = timing.submitted = timing.begun = timing.answered = time.perf_counter()


def layers() -> dict[str, ASGIApp]:
    """The endpoint bare, and with each layer more."""
    quiet, talkative = LogSettings(), LogSettings(format="json", requests=True)
    set_up_logs(talkative, io.StringIO())
    state = cast(ServerState, SimpleNamespace(draining=False))
    checked = AccessMiddleware(endpoint, [ApiKeyCheck(ApiKeys([KEY, KEY[::-1]]), without_key=())])
    observed, logged = (Observers(Metrics(), log, traces=False) for log in (quiet, talkative))
    return {
        "bare": endpoint,
        "observed: id, headers, metrics": ObservabilityMiddleware(endpoint, observed, state),
        "and API keys (2)": ObservabilityMiddleware(checked, observed, state),
        "and a JSON log line": ObservabilityMiddleware(checked, logged, state),
    }


async def _ask(app: ASGIApp) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": HEADERS, "query_string": b""}
    await app(scope, receive, send)


async def _in_turn(calls: dict[str, Callable[[], Awaitable[None]]]) -> dict[str, float]:
    """Microseconds a call, the median of rounds that take turns."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(REQUESTS):
                await call()
            found[name].append((time.process_time() - start) / REQUESTS * 1e6)
    return {name: statistics.median(times) for name, times in found.items()}


async def measure(apps: dict[str, ASGIApp]) -> dict[str, float]:
    """Microseconds a request."""
    return await _in_turn({name: partial(_ask, app) for name, app in apps.items()})


def stages() -> float:
    """Microseconds that the metrics of one input, its batch and its place in the drift window take."""
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
        drift.count(11, ("a",))

    return _microseconds(one)


async def time_limits() -> dict[str, float]:
    """What it takes to limit the time of a block: ours, and asyncio's own."""

    async def ours() -> None:
        with Within(1.0):
            pass

    async def theirs() -> None:
        async with asyncio.timeout(1.0):
            pass

    return await _in_turn({"a time limit": ours, "by asyncio.timeout": theirs})


def _microseconds(call: Callable[[], None], times: int = 20_000) -> float:
    rounds = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            call()
        rounds.append((time.process_time() - start) / times * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Print the table."""
    found = asyncio.run(measure(layers()))
    for name, microseconds in found.items():
        print(f"{name:34} {microseconds:7.1f} µs   +{microseconds - found['bare']:.1f}")
    print(f"{'the counts of an input':34} {stages():7.1f} µs")
    for name, microseconds in asyncio.run(time_limits()).items():
        print(f"{name:34} {microseconds:7.1f} µs")


if __name__ == "__main__":
    main()
