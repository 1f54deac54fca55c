"""A started server gets its load from the other core, and is gone afterwards."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cores import Cores
from bench.errors import MeasurementError
from bench.noop_server import LABEL
from bench.started import started
from bench.systems import noop

CORES = Cores({0}, {0})


def test_load_and_arrivals(tmp_path: Path) -> None:
    """Either kind of load asks each text and counts the answers; what the server printed lies under its name."""
    with started(noop(), [("a", LABEL), ("b", LABEL)], CORES, tmp_path) as server:
        found = server.load(2, requests=20)
        later = server.arrivals(50, 0.5, seed=0)
        memory = server.child.memory()
    assert (len(found.latencies), found.errors.total(), later.errors.total()) == (20, 0, 0)
    assert len(later.latencies) == later.sent > 0
    assert memory > 1_000_000
    assert server.ready_after > 0
    assert server.child.process.poll() is not None
    assert [path.suffix for path in tmp_path.iterdir()] == [".log"]


def test_a_wrong_answer_is_an_error(tmp_path: Path) -> None:
    """What comes first must be what was told to."""
    with started(noop(), [("a", "another label")], CORES, tmp_path) as server:
        assert server.load(1, requests=3).errors == {"wrong label": 3}


def test_an_end_in_the_midst_is_a_failure(tmp_path: Path) -> None:
    """A server that ended while it was measured gives no figure, and what it said last is told."""
    script = (
        "import http.server as h, sys, threading\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers()\n"
        "        print('out of memory', flush=True)\n"
        "        threading.Timer(0.2, server.shutdown).start()\n"
        "server = h.HTTPServer(('127.0.0.1', int(sys.argv[1])), H)\n"
        "server.serve_forever()\n"
    )
    system = replace(noop(), name="brief", command=lambda port: [sys.executable, "-c", script, str(port)])
    with (
        pytest.raises(MeasurementError, match=r"brief ended with status 0(.|\n)*out of memory"),
        started(system, [("a", LABEL)], CORES, tmp_path) as server,
    ):
        server.child.process.wait(10)
