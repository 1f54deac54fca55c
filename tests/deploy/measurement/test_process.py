"""Measured processes have a time limit, failures show their log, and all are stopped."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

import deploy.measurement.process
from deploy.measurement.process import MeasurementError, descendants, free_port, pinned, spawned, wait_ready

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
own = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", own], start_new_session=True)
time.sleep(60)
"""


def _is_gone(pid: int) -> bool:
    """Ended: no such process, or one that only waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def _wait_for(path: Path) -> str:
    until = time.monotonic() + 60
    while not path.read_text().endswith("\n") and time.monotonic() < until:
        time.sleep(0.01)
    return path.read_text()


def test_descendants_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores SIGTERM is killed, and so is its child in a session of its own."""
    monkeypatch.setattr(deploy.measurement.process, "STOP_SECONDS", 0.2)
    log = tmp_path / "log"
    with spawned("parent", [sys.executable, "-c", PARENT], log=log) as child:
        grandchild = int(_wait_for(log))
        assert descendants(child.process.pid) == [grandchild]
    assert child.process.returncode is not None
    until = time.monotonic() + 60
    while not _is_gone(grandchild) and time.monotonic() < until:
        time.sleep(0.01)
    assert _is_gone(grandchild)


def test_a_failure_inside_stops_the_process(tmp_path: Path) -> None:
    """When the measurement itself fails, the server is stopped and reaped all the same."""
    with pytest.raises(ZeroDivisionError), spawned("sleeper", SLEEP, log=tmp_path / "log") as child:
        _ = 1 / 0
    assert child.process.returncode is not None


def test_an_ended_process_is_explained(tmp_path: Path) -> None:
    """A server that ends before it is ready is named with its status and last log lines, at once."""
    command = [sys.executable, "-c", "print('no such bundle'); raise SystemExit(3)"]
    with (
        spawned("tuneship serve", command, log=tmp_path / "log") as child,
        pytest.raises(MeasurementError, match=r"(?s)tuneship serve ended with status 3.*no such bundle"),
    ):
        wait_ready(child, free_port())


def test_waiting_has_a_limit(tmp_path: Path) -> None:
    """A server that never listens is given up."""
    with (
        spawned("sleeper", SLEEP, log=tmp_path / "log") as child,
        pytest.raises(MeasurementError, match=r"was not ready within 0 s"),
    ):
        wait_ready(child, free_port(), limit=0.2)


def test_memory_counts_the_family(tmp_path: Path) -> None:
    """The memory of a process with a child is more than that of the child alone."""
    log = tmp_path / "log"
    with spawned(
        "parent", [sys.executable, "-c", PARENT.replace("signal.SIG_IGN", "signal.SIG_DFL")], log=log
    ) as child:
        grandchild = int(_wait_for(log))
        assert child.memory() > deploy.measurement.process._memory(grandchild) > 1e6


def test_pinned(tmp_path: Path) -> None:
    """A process started on one CPU stays there, and this process gets all of its CPUs back."""
    before = os.sched_getaffinity(0)
    cpu = max(before)
    command = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
    with spawned("affinity", command, log=tmp_path / "log", cpus={cpu}) as child:
        child.process.wait(60)
    assert (tmp_path / "log").read_text() == f"[{cpu}]\n"
    assert os.sched_getaffinity(0) == before
    with pinned({cpu}):
        assert os.sched_getaffinity(0) == {cpu}
    assert os.sched_getaffinity(0) == before
