"""Drives a server process of `pausable_server` from outside: stops its engine, reads its metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.serving.processes import ServerProcess

TEXT = {"inputs": "where is my parcel?"}


class PausableServer:
    """A server whose engine can be stopped."""

    def __init__(self, server: ServerProcess, pause: Path) -> None:
        self.server, self._pause_file = server, pause
        self.http = httpx.Client(base_url=server.url, timeout=60)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Meanwhile the engine is held up by a request, which is answered at the end."""
        begun = self.begun
        self._pause_file.touch()
        try:
            with ThreadPoolExecutor(1) as pool:
                first = pool.submit(httpx.post, f"{self.server.url}/predict", json=TEXT, timeout=60)
                try:
                    self.until(lambda: self.begun > begun and self.waiting == 0)
                    yield
                finally:
                    self._pause_file.unlink()
                assert first.result().status_code == 200
        finally:
            self._pause_file.unlink(missing_ok=True)

    @property
    def waiting(self) -> float:
        """Windows that wait for the engine."""
        return self.metric("tuneship_queue_depth")

    @property
    def ran(self) -> float:
        """Windows that the engine has run."""
        return self.metric("tuneship_batch_windows_sum")

    @property
    def begun(self) -> float:
        """Requests whose input was tokenised."""
        return self.metric("tuneship_input_tokens_count")

    def metric(self, name: str) -> float:
        """Of the model."""
        found = re.search(rf"^{name}{{[^}}]*}} (\S+)$", self.http.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.server.log.read_text()
            time.sleep(0.01)
