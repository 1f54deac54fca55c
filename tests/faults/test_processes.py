"""Processes that are killed, stopped or asked for ten times what they can do, with callers who go on asking."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bench.hostile.subject import Answer
from bench.openload import run_arrivals
from deploy.measurement.load import Query, render, run_load
from deploy.measurement.process import descendants, free_port
from tests.faults.callers import Rows, Tally, asking
from tests.faults.results import record, times
from tests.serving.processes import ServerProcess, get, running, serving, until

KILLS, STOPS = times(1, 20), times(1, 20)
FACTOR, MOST_BYTES = 10, 300e6


def worker_of(server: ServerProcess) -> int:
    """The process that answers: the one of the server's family that holds the graph."""
    return next(
        pid for pid in descendants(server.process.pid) if b"onnxruntime" in Path(f"/proc/{pid}/maps").read_bytes()
    )


@pytest.mark.slow
def test_killed_worker(tiny_bundle: Path, rows: Rows, tmp_path: Path) -> None:
    """bentoml serve starts a killed worker anew; callers meet a lost connection and no wrong answer."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "bentoml"), "serve", "serving.service:Tuneship", "--port", str(port)]
    variables = {"TUNESHIP_BUNDLE": tiny_bundle, "BENTOML_HOME": tmp_path, "BENTOML_DO_NOT_TRACK": "True"}
    with running(command, port, tmp_path / "log", **variables) as server, asking(port, rows) as tally:
        for _ in range(KILLS):
            killed = worker_of(server)
            os.kill(killed, signal.SIGKILL)
            until(lambda killed=killed: _answered_by_another(server, killed), 40)  # type: ignore[misc]
        before = tally.right
        until(lambda: tally.right > before + len(rows))
    assert tally.wrong == []
    record("worker of `bentoml serve` killed by SIGKILL", KILLS, "kills", tally, "started anew each time")


def _answered_by_another(server: ServerProcess, killed: int) -> bool:
    try:
        return worker_of(server) != killed and get(f"{server.url}/readyz")[0] == 200
    except (OSError, StopIteration):
        return False


def test_stopped_process(server: ServerProcess, rows: Rows) -> None:
    """A process that stands still for a while answers rightly once it goes on."""
    with asking(server.port, rows) as tally:
        for _ in range(STOPS):
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGCONT)
            before = tally.right
            until(lambda before=before: tally.right > before + 5)  # type: ignore[misc]
    assert (tally.wrong, tally.others) == ([], {})
    record("server stopped by SIGSTOP, continued by SIGCONT", STOPS, "times", tally)


@pytest.mark.slow
def test_overload(tiny_bundle: Path, rows: Rows, tmp_path: Path) -> None:
    """Ten times as many requests as it can answer: right answers or none, bounded memory, and health afterwards."""
    together, seconds = [inputs for inputs, _ in rows], times(2, 30)
    right = Answer([accepted[0] for _, accepted in rows])
    with serving(tiny_bundle, folder=tmp_path, TUNESHIP_WAIT_SECONDS=4) as server:
        queries = [Query(render(server.port, "/predict", {"inputs": together}), right)]
        capacity = run_load(server.port, queries, Answer, connections=8, seconds=1).rate
        before = resident(server)
        result = run_arrivals(server.port, queries, Answer, rate=FACTOR * capacity, seconds=seconds, seed=0)
        assert not result.errors.keys() & {"wrong label", "unreadable answer", "status 500"}
        assert result.latencies
        assert resident(server) - before < MOST_BYTES
        until(lambda: get(f"{server.url}/livez")[0] == 200)
    tally = Tally(right=len(result.latencies) * len(rows))
    seen = f"{result.refused:,} refused with 429, {result.errors.total():,} of {result.sent:,} not answered in time"
    record(f"overload, {FACTOR} times the capacity", seconds, "seconds", tally, seen)


def resident(server: ServerProcess) -> int:
    """Bytes."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_sigterm_under_load(tiny_bundle: Path, rows: Rows, tmp_path: Path) -> None:
    """Every request that was accepted before a SIGTERM is answered, rightly."""
    for number in range(times(2, 20)):
        folder = tmp_path / str(number)
        folder.mkdir()
        variables = {"TUNESHIP_DRAIN_SECONDS": 1, "TUNESHIP_GRACE_SECONDS": 5}
        with serving(tiny_bundle, folder=folder, **variables) as server, asking(server.port, rows) as tally:
            until(lambda tally=tally: tally.right > 20)  # type: ignore[misc]
            assert server.stop(7) == 0
            time.sleep(0.1)
        assert tally.wrong == []
        assert set(tally.others) <= {"ConnectionRefusedError", "503"}
        record("SIGTERM under load", 1, "times", tally, "no accepted request lost")
