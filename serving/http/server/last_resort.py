"""The end of a process that does not stop in time: a thread that never returns from native code would hold it."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time

MARGIN_SECONDS = 0.5
"""After the time that a stop may take."""

LOG_SECONDS = 0.2
"""For the last line to be written."""

logger = logging.getLogger("tuneship")

_ends: queue.SimpleQueue[float] = queue.SimpleQueue()  # a signal's handler may put, whatever it has interrupted


def start_watching() -> None:
    """In a thread: one that is started by a signal's handler might wait for a lock that the handler has interrupted."""
    threading.Thread(target=_watch, name="last-resort", daemon=True).start()


def end_within(seconds: float) -> None:
    """End this process then, with status 1, where it has not ended itself; of several times, the earliest counts.

    Without `start_watching` nothing happens: the process is not the server's own.
    """
    _ends.put(time.monotonic() + seconds + MARGIN_SECONDS)


def _watch() -> None:
    end = _ends.get()
    asked = time.monotonic()
    while (left := end - time.monotonic()) > 0:
        try:
            end = min(end, _ends.get(timeout=left))
        except queue.Empty:
            break
    threads = ", ".join(each.name for each in threading.enumerate() if each is not threading.current_thread())
    logger.error("not stopped within %.1f s: ending now, while %s run", time.monotonic() - asked, threads)
    time.sleep(LOG_SECONDS)
    os._exit(1)
