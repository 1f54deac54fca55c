"""A running server gets load from the other core, and is stopped afterwards."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cores import Cores
from bench.noop_server import LABEL
from bench.running_server import run_server
from bench.systems import noop_system
from deploy.measurement.process import MeasurementError

CORES = Cores({0}, {0})


@pytest.mark.slow
def test_load_and_arrivals(tmp_path: Path) -> None:
    """Both kinds of load count the answers; the log is named after the server."""
    with run_server(noop_system(), [("a", LABEL), ("b", LABEL)], CORES, tmp_path) as server:
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
    """An answer with another label than expected is an error."""
    with run_server(noop_system(), [("a", "another label")], CORES, tmp_path) as server:
        assert server.load(1, requests=3).errors == {"wrong label": 3}


@pytest.mark.slow
def test_a_server_that_ends_early(tmp_path: Path) -> None:
    """A server that ends during the measurement is an error with its last log lines."""
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
    system = replace(noop_system(), name="brief", command=lambda port: [sys.executable, "-c", script, str(port)])
    with (
        pytest.raises(MeasurementError, match=r"brief ended with status 0(.|\n)*out of memory"),
        run_server(system, [("a", LABEL)], CORES, tmp_path) as server,
    ):
        server.child.process.wait(60)
