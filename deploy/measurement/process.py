"""Child processes that are measured."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.errors import UserError

ROOT = Path(__file__).resolve().parent.parent.parent
"""The folder that has `tuneship.py`: a checkout or site-packages."""

STOP_SECONDS = 20
READY_SECONDS = 120
LOG_LINES = 15


class MeasurementError(UserError):
    """The message has the failed step and the process's last log lines."""


@dataclass(frozen=True)
class Child:
    """``started`` is a time of `time.monotonic`."""

    name: str
    process: subprocess.Popen[bytes]
    started: float
    log: Path

    def memory(self) -> int:
        """Bytes, with descendants; a shared page counts once."""
        return sum(map(_memory, [self.process.pid, *descendants(self.process.pid)]))

    def peak_memory(self) -> int:
        """The highest resident bytes since the start, of the process and its descendants."""
        return sum(_status_bytes(pid, "VmHWM") for pid in [self.process.pid, *descendants(self.process.pid)])

    def cpu_seconds(self) -> float:
        """User and system time so far, of the process and its living descendants."""
        return sum(map(_cpu_seconds, [self.process.pid, *descendants(self.process.pid)]))

    def require_alive(self) -> None:
        """Raise MeasurementError if the process has ended."""
        status = self.process.poll()
        if status is not None:
            raise MeasurementError(self.explain(f"ended with status {status}"))

    def explain(self, what: str) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"{self.name} {what}; the last lines of {self.log}:", *(f"  {line}" for line in lines)])


@contextlib.contextmanager
def pinned(cpus: set[int] | None) -> Iterator[None]:
    """Run this thread and the processes it starts on these CPUs; None: on all."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def spawned(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    inherited: Mapping[str, str] = os.environ,
    cpus: set[int] | None = None,
) -> Iterator[Child]:
    """Start a command in `ROOT`, and stop it with its descendants at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, pinned(cpus):
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**inherited, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield Child(name, process, started, log)
    finally:
        _stop(process)


def wait_ready(child: Child, port: int, path: str = "/readyz", limit: float = READY_SECONDS) -> float:
    """Seconds from the start until ``GET path`` answers 200.

    Raises MeasurementError if the process ends or is not ready within ``limit`` seconds.
    """
    while time.monotonic() - child.started < limit:
        child.require_alive()
        if _answers(port, path):
            return time.monotonic() - child.started
        time.sleep(0.01)
    raise MeasurementError(child.explain(f"was not ready within {limit:.0f} s"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def descendants(pid: int) -> list[int]:
    """The pids of children, their children, and so on."""
    pids: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                pids += [child, *descendants(child)]
    return pids


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _memory(pid: int) -> int:
    """The proportional set size, see proc_pid_smaps(5)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except OSError:  # it ended since it was listed
        return 0


def _status_bytes(pid: int, field: str) -> int:
    """A field of proc_pid_status(5)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)
    except OSError:  # it ended since it was listed
        return 0


def _cpu_seconds(pid: int) -> float:
    """See proc_pid_stat(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:  # it ended since it was listed
        return 0.0


def _stop(process: subprocess.Popen[bytes]) -> None:
    # A pidfd stays bound to its process: a pid may be another process's by the time of the kill.
    family = _open_pidfds([process.pid, *descendants(process.pid)])
    try:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:  # also when this process is stopped while it waits
        for descriptor in family:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        process.wait()


def _open_pidfds(pids: Sequence[int]) -> list[int]:
    descriptors = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            descriptors.append(os.pidfd_open(pid))
    return descriptors
