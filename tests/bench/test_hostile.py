"""bench.hostile: the inputs, the callers that send them, and what is told of their cost."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.hostile.__main__ import to_markdown
from bench.hostile.attacker import attack
from bench.hostile.inputs import HOSTILE, Ending, Hostile
from bench.hostile.measure import MISSING, Cost, Plan, measure
from bench.hostile.subject import Answer, Subject
from bench.openload import ArrivalResult

SENT = b"GET / HTTP/1.1\r\n\r\n"


def cost(quiet: float = 0.1, attacked: float = 0.2, growth: float = 300e6, stop: float = 5.0, wrong: int = 0) -> Cost:
    return Cost("a", [quiet], [attacked], int(growth), stop, 100, wrong)


def test_held() -> None:
    """An input holds at twice the p99, 300 MB and the end of drain and grace, and not past any of them."""
    assert cost().held
    assert not cost(attacked=0.21).held
    assert not cost(growth=301e6).held
    assert not cost(stop=7).held
    assert not cost(wrong=1).held


def test_missing_answers_are_slow() -> None:
    """A refused or missing answer counts as one that took ten seconds."""
    found = Cost("a")
    found.count(ArrivalResult(1, refused=1, latencies=[0.1], errors=Counter({"wrong label": 1})), attacked=True)
    assert found.attacked == [pytest.approx(MISSING)]
    assert (found.answers, found.wrong, found.errors) == (1, 1, {"wrong label": 1, "refused with 429": 1})


def test_markdown() -> None:
    """The worst comes first, and what is not held is marked."""
    lines = to_markdown([cost(), cost(attacked=0.5)], Plan())
    assert lines[0].startswith("1 of 2 held")
    assert ["**no**" in line for line in lines[-2:]] == [True, False]


def test_many_inputs() -> None:
    """At least the forty that were promised, each with a name of its own and bytes to send."""
    assert len({hostile.name for hostile in HOSTILE}) == len(HOSTILE) >= 40
    silent = [each.name for each in HOSTILE if not b"".join(itertools.islice(each.stream(), 2))]
    assert silent == ["connects and hangs up, again and again"]


def test_answers_nearly_equal() -> None:
    """The last bits of a number may differ, nothing else."""
    assert Answer([{"label": "a", "score": 0.5}]) == Answer([{"label": "a", "score": 0.5000001}])
    assert Answer([{"label": "a", "score": 0.5}]) != Answer([{"label": "a", "score": 0.6}])
    assert Answer([{"label": "a", "score": 0.5}]) != Answer([{"label": "b", "score": 0.5}])


@pytest.mark.parametrize("ending", Ending)
def test_attack(ending: Ending) -> None:
    """All is sent again and again; what comes back is read, left, or never waited for."""
    connections = list[bytes]()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        thread = threading.Thread(target=_answer, args=(listener, connections))
        thread.start()
        received = list[bytes]()
        hostile = Hostile("a", lambda: [SENT], ending)
        attack(hostile, listener.getsockname()[1], time.monotonic() + 0.3, received.append)
        thread.join()
    assert connections == [SENT] * 2
    assert (b"".join(received) == b"ok" * 2) == (ending is Ending.reads)


def _answer(listener: socket.socket, connections: list[bytes]) -> None:
    """Two connections, each read to its end and answered; the third finds nobody."""
    for _ in range(2):
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60)
            connections.append(connection.recv(len(SENT)))
            with contextlib.suppress(ConnectionError):  # it has hung up
                connection.sendall(b"ok")


@pytest.mark.slow
def test_measure(tiny_bundle: Path, tmp_path: Path) -> None:
    """A real server under the worst input of before: its memory stays, it stops in time, and no answer is wrong."""
    trailers = next(each for each in HOSTILE if each.name == "trailers without end")
    found = measure(trailers, Subject.of("classifier", tiny_bundle), Plan(rounds=1, seconds=1, rate=20), tmp_path)
    assert found.growth <= 300e6
    assert found.stop <= 20  # it does not wait for the grace, which is 25 s
    assert found.answers > 10
    assert (found.wrong, found.errors) == (0, {})
