"""A log handler that never waits: a full pipe that nobody reads would stop the server at its next line."""

from __future__ import annotations

import io
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TextIO

MOST_CHARACTERS = 8 * 2**20
"""Of lines that wait to be written; further ones are dropped and counted."""

SECONDS_TO_GATHER = 0.01
"""Lines of this time share system calls and turns of the interpreter."""

SECONDS_AT_EXIT = 1.0

_dropped_lock, _dropped = threading.Lock(), 0


def dropped_lines() -> int:
    """Of all handlers, since the process began."""
    return _dropped


class QueueHandler(logging.Handler):
    """Formats a record at once, and writes its line in a thread."""

    def __init__(self, stream: TextIO, most: int = MOST_CHARACTERS) -> None:
        super().__init__()
        self._write, self._most = _writer(stream), most
        self._lines: deque[str] = deque()
        self._size = self._untold = 0
        self._changed, self._hurry, self._closed = threading.Condition(), threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line, or count it as dropped."""
        try:
            line = self.format(record) + "\n"
        except Exception:  # as logging's own handlers: a bad record must not stop what logs it
            self.handleError(record)
            return
        with self._changed:
            if self._size and self._size + len(line) > self._most:
                self._drop(1)
                return
            self._lines.append(line)
            self._size += len(line)
            self._changed.notify_all()

    def flush(self, seconds: float = SECONDS_AT_EXIT) -> None:
        """Wait until all lines are written, but not longer than ``seconds``."""
        self._hurry.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._size, seconds)
        self._hurry.clear()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if self._closed:
                    return
            self._hurry.wait(SECONDS_TO_GATHER)
            self._write_waiting()

    def _write_waiting(self) -> None:
        with self._changed:
            lines, self._lines = self._lines, deque()
        for chunk in _chunks(lines):
            if not self._try_to_write("".join(chunk)):
                self._drop(len(chunk))
        if self._untold and self._try_to_write(self._tell(untold := self._untold)):
            self._untold -= untold
        with self._changed:
            self._size -= sum(map(len, lines))
            self._changed.notify_all()

    def _try_to_write(self, text: str) -> bool:
        try:
            self._write(text)
        except (OSError, ValueError):  # nobody will ever read, or the disk is full
            return False
        return True

    def _drop(self, count: int) -> None:
        global _dropped
        with _dropped_lock:
            _dropped += count
            self._untold += count

    def _tell(self, count: int) -> str:
        message = "%d log lines were dropped, because the log was not read in time"
        return self.format(logging.LogRecord("tuneship", logging.WARNING, "", 0, message, (count,), None)) + "\n"


def queue_streams() -> None:
    """Put a queue before every handler of this process that writes to a stream."""
    names = [None, *logging.root.manager.loggerDict]
    for handlers in (logging.getLogger(name).handlers for name in names):
        handlers[:] = [_queued(each) if type(each) is logging.StreamHandler else each for each in handlers]


def _queued(handler: logging.StreamHandler[TextIO]) -> QueueHandler:
    queued = QueueHandler(handler.stream)
    queued.formatter, queued.filters, queued.level = handler.formatter, handler.filters, handler.level
    return queued


def _chunks(lines: deque[str]) -> Iterator[list[str]]:
    """Lines that a pipe takes in one piece, so that no other process' line gets into them."""
    chunk: list[str] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > select.PIPE_BUF:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk


def _writer(stream: TextIO) -> Callable[[str], object]:
    """To the stream's file itself: its buffer's lock would be held while a write waits, also at exit."""
    try:
        return partial(_write_all, stream.fileno())
    except (io.UnsupportedOperation, AttributeError):
        return stream.write


def _write_all(file: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        try:
            data = data[os.write(file, data) :]
        except BlockingIOError:
            select.select([], [file], [])
