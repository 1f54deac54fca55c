"""Very many requests, good and bad, to one server: memory, descriptors, threads and p99 may not grow.

    python -m bench.soak                         100,000 requests, minutes
    python -m bench.soak --requests 1000000      the long form; --write puts the table into docs/reliability.md

Meanwhile one caller sends requests that are refused, and another hangs up in the midst of its own. Every answer is
compared.
"""

from __future__ import annotations

import http.client
import itertools
import json
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from bench.cores import Cores
from bench.figures import Figure, figures_table, format_figure
from bench.hostile.inputs import SMALL_POST
from bench.hostile.subject import TINY, Subject, prepare_one
from bench.page import table, wrapped, write_part
from bench.running_server import RunningServer, run_server
from deploy.measurement.process import pinned
from serving.bundle.cpu import describe_machine

HOME = Path("build/hostile")
PARTS, CONNECTIONS = 20, 16
PAUSE = 0.01
BAD: list[Any] = [{"inputs": ""}, {"inputs": 7}, {"inputs": ["a"] * 129}, {"input": "a"}, [], {"inputs": "a", "x": 1}]
PER = 100_000
"""Slopes are told per so many requests."""


@dataclass
class Samples:
    """At the start, then after each part; ``p99`` of each part, in ms; memory in MB."""

    requests: list[int] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    refused: int = 0
    hung_up: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def take(self, server: RunningServer, requests: int) -> None:
        process = Path("/proc") / str(server.child.process.pid)
        self.requests.append(requests)
        self.memory.append(server.child.memory() / 1e6)
        self.descriptors.append(len(list((process / "fd").iterdir())))
        self.threads.append(len(list((process / "task").iterdir())))

    def slope(self, values: Sequence[float]) -> float:
        """By least squares over the second half of the parts, when all that is kept has been filled."""
        half = len(values) // 2
        return float(np.polyfit(self.requests[-len(values) :][half:], values[half:], 1)[0]) * PER


def measure(subject: Subject, requests: int, logs: Path) -> Samples:
    samples = Samples()
    with run_server(subject.system, subject.pairs, Cores.choose(), logs) as server, _disturbing(server, samples):
        samples.take(server, 0)
        for number in range(1, PARTS + 1):
            result = server.load(CONNECTIONS, requests=requests // PARTS)
            server.child.require_alive()
            samples.take(server, number * requests // PARTS)
            samples.p99.append(float(np.percentile(result.latencies, 99)) * 1000)
            samples.errors += result.errors
    return samples


@contextmanager
def _disturbing(server: RunningServer, samples: Samples) -> Iterator[None]:
    """Requests that are refused, and requests whose callers hang up, in turn until the end."""
    ended = threading.Event()

    def disturb() -> None:
        with pinned(server.cores.load):
            for content in itertools.cycle(BAD):
                if ended.wait(PAUSE):
                    return
                _send_bad(server.port, content, samples)
                _hang_up(server.port)
                samples.hung_up += 1

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _send_bad(port: int, content: Any, samples: Samples) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/predict", json.dumps(content), {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    samples.refused += 400 <= status < 500
    samples.errors[f"status {status} for {content}"] += not 400 <= status < 500


def _hang_up(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(SMALL_POST[:-9])


def figures(samples: Samples, requests: int) -> list[Figure]:
    """A slope is told with its unit a hundred thousand requests."""
    per = f"per {PER:,} requests"
    wrong = +samples.errors
    note = "; ".join(f"{count} × {error}" for error, count in wrong.items())
    return [
        Figure("answers compared", requests, ""),
        Figure("wrong or missing", wrong.total(), "", correct=0.0, note=note),
        Figure("requests refused, and hung up, meanwhile", samples.refused + samples.hung_up, ""),
        Figure("memory at the end", samples.memory[-1], "MB", samples=tuple(samples.memory)),
        Figure("memory's slope over the second half", samples.slope(samples.memory), f"MB {per}"),
        Figure("descriptors at the end", samples.descriptors[-1], "", samples=tuple(map(float, samples.descriptors))),
        Figure("descriptors' slope", samples.slope(samples.descriptors), per),
        Figure("threads at the end", samples.threads[-1], "", samples=tuple(map(float, samples.threads))),
        Figure("threads' slope", samples.slope(samples.threads), per),
        Figure("p99 of the last twentieth", samples.p99[-1], "ms", samples=tuple(samples.p99)),
        Figure("p99's slope over the second half", samples.slope(samples.p99), f"ms {per}"),
    ]


def to_markdown(found: Sequence[Figure], requests: int) -> list[str]:
    head = (
        f"{requests:,} requests on {CONNECTIONS} connections, on {date.today():%Y-%m-%d}, {describe_machine()['cpu']},"
        f" one core. Ranges are those of {PARTS} parts."
    )
    return [*wrapped(head), "", *table(("figure", "measured"), [(each.name, format_figure(each)) for each in found])]


def main(
    requests: Annotated[int, typer.Option(min=1000)] = PER,
    write: Annotated[bool, typer.Option(help="Write the table into docs/reliability.md.")] = False,
) -> None:
    """Print the figures; exit with status 1 if an answer is wrong or missing."""
    samples = measure(prepare_one(TINY, HOME), requests, HOME / "logs")
    found = figures(samples, requests)
    Console(width=100).print(figures_table(found, describe_machine()["cpu"]))
    if write:
        write_part("soak", to_markdown(found, requests))
    raise typer.Exit(1 if any(each.is_error for each in found) else 0)


if __name__ == "__main__":
    # On SIGTERM, Python would skip every `finally` and leave the server running.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    typer.run(main)
