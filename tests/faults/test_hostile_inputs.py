"""The worst inputs of `bench.hostile` against a real server: others are answered rightly, and nothing is a 500."""

from __future__ import annotations

import re
import time

import pytest

from bench.hostile.attacker import attack
from bench.hostile.inputs import BODIES, CONNECTION, Hostile
from tests.faults.callers import Rows, Tally, ask_all, asking
from tests.faults.results import record, times
from tests.serving.processes import ServerProcess, get, until


def withstand(hostile: Hostile, server: ServerProcess, rows: Rows, seconds: float) -> Tally:
    """Attack for so long; the callers' tally. The server must answer no 500 and everybody afterwards."""
    answered = list[bytes]()
    with asking(server.port, rows, callers=1) as tally:
        attack(hostile, server.port, time.monotonic() + seconds, answered.append)
    assert tally.wrong == []
    assert not re.search(rb"HTTP/1.1 500 ", b"".join(answered)), hostile.name
    until(lambda: get(f"{server.url}/livez")[0] == 200)
    afterwards = ask_all(server.port, rows)
    assert (afterwards.wrong, afterwards.right) == ([], len(rows))
    return tally


@pytest.mark.slow
@pytest.mark.parametrize("hostile", CONNECTION, ids=lambda hostile: hostile.name)
def test_streams(hostile: Hostile, server: ServerProcess, rows: Rows) -> None:
    """What is no HTTP, or HTTP without end, disturbs nobody."""
    tally = withstand(hostile, server, rows, times(1, 20) / 10)
    assert not tally.others
    record("hostile streams on one connection", 1, "kinds", tally)


@pytest.mark.slow
@pytest.mark.parametrize("hostile", BODIES, ids=lambda hostile: hostile.name)
def test_bodies(hostile: Hostile, server: ServerProcess, rows: Rows) -> None:
    """Nor does a large or odd body, whatever becomes of it."""
    tally = withstand(hostile, server, rows, times(1, 5))
    record("hostile bodies, large or odd", 1, "kinds", tally)


@pytest.mark.slow
def test_no_traceback(server: ServerProcess) -> None:
    """None of it is an exception that nobody expected."""
    assert "Traceback" not in server.log.read_text()
