"""A log that nobody reads stops nothing: lines are dropped, counted and told of."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from starlette.testclient import TestClient

from serving.http.app import create_app
from serving.inference.predictor import Predictor
from serving.observability.log_queue import QueueHandler, dropped_lines, queue_streams
from serving.observability.logs import JsonFormatter
from serving.settings.log_settings import LogSettings

LINE = "x" * 1000


class Pipe:
    """A pipe of 4 kB with a handler that queues at most 20,000 characters."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        self.stream: TextIO = os.fdopen(writer, "w")
        self.handler = QueueHandler(self.stream, most=20_000)
        self.logger = logging.Logger("tuneship")
        self.logger.addHandler(self.handler)

    def read(self) -> str:
        """All that is written until the handler is done."""
        os.set_blocking(self.reader, False)
        text, until = b"", time.monotonic() + 60
        while time.monotonic() < until and (self.handler._size or self.handler._untold):
            text += self._read_some()
            time.sleep(0.002)
        return (text + self._read_some()).decode()

    def _read_some(self) -> bytes:
        try:
            return os.read(self.reader, 1 << 20)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Both ends, once the thread has ended: it would write to the file that gets the descriptor next."""
        os.close(self.reader)
        self.handler.close()
        self.handler._thread.join(60)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that nobody reads yet."""
    made = Pipe()
    yield made
    made.close()


def test_an_unread_pipe(pipe: Pipe) -> None:
    """Logging goes on; the first lines are kept in order, the rest is counted and told of when the pipe is read."""
    before = dropped_lines()
    for number in range(100):
        pipe.logger.warning("%d %s", number, LINE)
    dropped = dropped_lines() - before
    assert 60 < dropped < 100
    *lines, told = pipe.read().splitlines()
    assert [line.split()[0] for line in lines] == [str(number) for number in range(100 - dropped)]
    assert told == f"{dropped} log lines were dropped, because the log was not read in time"
    pipe.logger.warning("again")
    assert pipe.read() == "again\n"


def test_a_line_above_the_bound(pipe: Pipe) -> None:
    """A line that alone is larger than the queue is written where nothing waits."""
    pipe.logger.warning("y" * 50_000)
    assert pipe.read() == "y" * 50_000 + "\n"


def test_a_closed_pipe(pipe: Pipe) -> None:
    """A pipe whose reader has gone neither raises nor ends the thread; its lines count as dropped."""
    before = dropped_lines()
    os.dup2(os.open(os.devnull, os.O_RDONLY), pipe.reader)
    for _ in range(3):
        pipe.logger.warning(LINE)
        pipe.handler.flush()
    assert dropped_lines() - before == 3


def test_a_pipe_that_does_not_wait(pipe: Pipe) -> None:
    """A descriptor that another process has set to non-blocking loses no line."""
    os.set_blocking(pipe.stream.fileno(), False)
    for _ in range(15):
        pipe.logger.warning(LINE)
    assert pipe.read().count(LINE) == 15


@pytest.mark.slow
def test_requests_are_answered(pipe: Pipe, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers as ever, and its metric has the lines that were dropped."""
    pipe.handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("tuneship.access")
    monkeypatch.setattr(logger, "handlers", [pipe.handler])
    monkeypatch.setattr(logger, "level", logging.INFO)
    with TestClient(create_app(lambda: Predictor.open(tiny_bundle), log=LogSettings(requests=True))) as client:
        assert {client.get("/livez").status_code for _ in range(200)} == {200}
        assert f"tuneship_log_lines_dropped_total {float(dropped_lines())}" in client.get("/metrics").text
    assert dropped_lines()


EXITING = """
import logging, sys
from serving.observability.logs import set_up_logs
from serving.settings.log_settings import LogSettings
set_up_logs(LogSettings())
for number in range(int(sys.argv[1])):
    logging.getLogger("tuneship").info("%d %s", number, "x" * 1000)
print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("lines", "read"), [(50, True), (500, False)])
def test_exit(lines: int, read: bool) -> None:
    """At exit the last lines are written; where nobody reads them, the process ends too."""
    command = [sys.executable, "-c", EXITING, str(lines)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "done\n"
        if read:
            assert len(process.stderr.read().splitlines()) == lines
        assert process.wait(10) == 0


def test_handlers_of_others(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """BentoML's handlers get a queue before them, and keep their level, filters and format."""
    theirs = logging.StreamHandler(pipe.stream)
    theirs.setFormatter(logging.Formatter("theirs: %(message)s"))
    theirs.setLevel(logging.ERROR)
    theirs.addFilter(lambda record: "secret" not in record.getMessage())
    logger = logging.getLogger("of-another-library")
    monkeypatch.setattr(logger, "handlers", [theirs])
    monkeypatch.setattr(logger, "propagate", False)
    queue_streams()
    (queued,) = logger.handlers
    assert isinstance(queued, QueueHandler)
    for message in ("kept", "secret"):
        logger.error(message)
    logger.warning("below")
    queued.flush()
    assert pipe.read() == "theirs: kept\n"
    queued.close()
    queued._thread.join(60)
