"""Ordinary callers, who go on asking whatever happens to the server, and compare every answer that comes."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.hostile.subject import Answer

Rows = Sequence[tuple[Any, Sequence[Any]]]
"""Inputs, each with its right answers: one, or one of each version that may answer."""


@dataclass
class Tally:
    """``others``: by status, or by the kind of failure, what was no answer."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def compared(self) -> int:
        return self.right + len(self.wrong)

    def count(self, inputs: Any, accepted: Sequence[Any], status: int, body: bytes) -> None:
        if status != 200:
            self.others[str(status)] += 1
        elif Answer(json.loads(body)) in [Answer([each]) for each in accepted]:
            self.right += 1
        else:
            self.wrong.append(f"{inputs!r}: {body[:200]!r}")


@contextmanager
def asking(port: int, rows: Rows, callers: int = 2, pause: float = 0.005) -> Iterator[Tally]:
    """Callers on connections of their own, which they open anew where one is lost."""
    tally, ended = Tally(), threading.Event()
    threads = [threading.Thread(target=_ask, args=(port, rows[at:], tally, ended, pause)) for at in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def ask_all(port: int, rows: Rows) -> Tally:
    """Every row once; all must be answered."""
    tally = Tally()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for inputs, accepted in rows:
        tally.count(inputs, accepted, *_exchange(connection, inputs))
    connection.close()
    return tally


def _ask(port: int, rows: Rows, tally: Tally, ended: threading.Event, pause: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not ended.is_set():
        for inputs, accepted in rows:
            if ended.wait(pause):
                break
            try:
                tally.count(inputs, accepted, *_exchange(connection, inputs))
            except (OSError, http.client.HTTPException) as error:
                tally.others[type(error).__name__] += 1
                connection.close()
                time.sleep(0.02)
    connection.close()


def _exchange(connection: http.client.HTTPConnection, inputs: Any) -> tuple[int, bytes]:
    connection.request("POST", "/predict", json.dumps({"inputs": [inputs]}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, response.read()
