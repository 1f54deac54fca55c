"""What a hostile caller costs the others' p99 and the server's memory, and whether the server still stops."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from bench.cores import Cores
from bench.hostile.attacker import attack
from bench.hostile.inputs import Hostile
from bench.hostile.subject import DRAIN, GRACE, Subject
from bench.openload import ArrivalResult
from bench.running_server import RunningServer, start_server
from deploy.measurement.process import MeasurementError, descendants, pinned

MOST_RATIO, MOST_MB, STOP_SECONDS = 2.0, 300.0, DRAIN + GRACE
"""What is promised of any input."""
MISSING = 10.0
"""Seconds that a request counts with which was refused, answered wrongly or not at all."""
MORE = 3
SAMPLE, SETTLE, EXIT_MARGIN = 0.1, 15.0, 1.0
NICE = 5


@dataclass(frozen=True)
class Plan:
    """``rate``: ordinary requests a second; a round is ``seconds`` without the attack and as many with it.

    Where the median is past what is promised, there are up to ``MORE`` times as many rounds: one round is noisy.
    """

    rounds: int = 3
    seconds: float = 3.0
    warmup: float = 1.5
    rate: float = 15.0


@dataclass
class Cost:
    """Of one hostile input.

    ``quiet`` and ``attacked``: the others' p99 in each round, in seconds; ``growth``: bytes; ``stop``: seconds from
    SIGTERM to the exit, under attack; ``answers``: the others' right ones; ``errors``: all else, ``wrong`` among it.
    """

    name: str
    quiet: list[float] = field(default_factory=list)
    attacked: list[float] = field(default_factory=list)
    growth: int = 0
    stop: float = 0.0
    answers: int = 0
    wrong: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return statistics.median(with_it / without for with_it, without in zip(self.attacked, self.quiet, strict=True))

    @property
    def held(self) -> bool:
        bounded = self.ratio <= MOST_RATIO and self.growth <= MOST_MB * 1e6 and self.stop <= STOP_SECONDS + EXIT_MARGIN
        return bounded and not self.wrong

    def count(self, result: ArrivalResult, attacked: bool) -> None:
        missing = result.refused + result.errors.total()
        p99 = float(np.percentile([*result.latencies, *[MISSING] * missing] or [MISSING], 99))
        (self.attacked if attacked else self.quiet).append(p99)
        self.answers += len(result.latencies)
        self.wrong += result.errors["wrong label"]
        for error, number in {**result.errors, "refused with 429": result.refused}.items():
            if number:
                self.errors[error] = self.errors.get(error, 0) + number


def measure(hostile: Hostile, subject: Subject, plan: Plan, logs: Path) -> Cost:
    """On a server of its own; raises MeasurementError if the server fails."""
    cores, cost = Cores.choose(), Cost(hostile.name)
    with start_server(subject.system, subject.pairs, cores, logs) as server:
        server.arrivals(plan.rate, plan.warmup, 0)
        before = server.child.memory()
        with _peak_memory(server) as peak:
            for number in range(MORE * plan.rounds):
                if number >= plan.rounds and cost.ratio <= MOST_RATIO:
                    break
                cost.count(server.arrivals(plan.rate, plan.seconds, number), attacked=False)
                with _attacking(hostile, server):
                    cost.count(server.arrivals(plan.rate, plan.seconds, number), attacked=True)
                server.child.require_alive()
                _settle(server)
        cost.growth = max(peak) - before
        with _attacking(hostile, server):
            cost.stop = _stop(server)
    return cost


@contextlib.contextmanager
def _attacking(hostile: Hostile, server: RunningServer) -> Iterator[None]:
    """From a process of its own, which leaves the load's core to the ordinary callers when they need it."""
    # Forked, as Python's start would be a part of what is measured.
    process = get_context("fork").Process(target=_attack, args=(hostile, server.port))
    with pinned(server.cores.load):
        process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _attack(hostile: Hostile, port: int) -> None:
    os.nice(NICE)
    attack(hostile, port)


@contextlib.contextmanager
def _peak_memory(server: RunningServer) -> Iterator[list[int]]:
    samples, ended = [server.child.memory()], threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE):
            samples.append(server.child.memory())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def _settle(server: RunningServer) -> None:
    """Wait until the server has done what the attack left it, so that the next quiet round is quiet."""
    end = time.monotonic() + SETTLE
    while time.monotonic() < end:
        before = _cpu_seconds(server)
        time.sleep(SAMPLE)
        if _cpu_seconds(server) - before < SAMPLE / 4:
            return


def _cpu_seconds(server: RunningServer) -> float:
    pids = [server.child.process.pid, *descendants(server.child.process.pid)]
    return sum(map(_ticks, pids)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """User and system time, see proc_pid_stat(5)."""
    with contextlib.suppress(OSError):
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return 0


def _stop(server: RunningServer) -> float:
    """Seconds from SIGTERM to the exit; infinite if it does not come."""
    time.sleep(3 * SAMPLE)
    start = time.monotonic()
    server.child.process.send_signal(signal.SIGTERM)
    try:
        status = server.child.process.wait(3 * STOP_SECONDS)
    except subprocess.TimeoutExpired:
        return float("inf")
    if status:
        raise MeasurementError(server.child.explain(f"ended with status {status}"))
    return time.monotonic() - start
