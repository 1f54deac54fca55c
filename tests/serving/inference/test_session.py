"""How onnxruntime is imported, on every CPU; how a session loads a graph and is interrupted."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from serving.bundle.bundle import GraphFile
from serving.inference.session import create_session
from tests.bundles import endless_graph
from tests.serving.processes import run_python

IMPORTED = """
import os, sys
from importlib.abc import MetaPathFinder

class Watch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "onnxruntime":
            print(len(os.sched_getaffinity(0)))

sys.meta_path.insert(0, Watch())
allowed = sorted(os.sched_getaffinity(0))
print(len(allowed))
os.sched_setaffinity(0, allowed[-1:])
import {module}
print(os.sched_getaffinity(0) == set(allowed[-1:]), os.environ["ORT_DISABLE_TELEMETRY"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["serving.inference.session", "serving.inference.generation.kv_cache"])
def test_imported_on_every_cpu(module: str) -> None:
    """A process pinned to one CPU imports it where it may run on all, or AMX stays unused; telemetry is off."""
    result = run_python(IMPORTED.format(module=module))
    assert result.returncode == 0, result.stderr
    allowed, importing, behind = result.stdout.splitlines()
    assert int(importing) >= int(allowed)
    assert behind == "True 1"


def test_the_file_is_not_held(tiny_bundle: Path) -> None:
    """A session has its own form of the weights; the file's bytes would double a server's memory."""
    content = (tiny_bundle / "model.onnx").read_bytes()
    before = sys.getrefcount(content)
    session = create_session(GraphFile("model.onnx", content), threads=1)
    assert session.get_inputs()
    assert sys.getrefcount(content) == before


def test_an_interrupt_ends_what_runs(tiny_bundle: Path) -> None:
    """A run under way fails; the session takes the next one, so that its predictor may serve another app."""
    session = create_session(GraphFile("model.onnx", endless_graph(tiny_bundle)), 1)
    feeds = {node.name: np.ones((1, 4), np.int64) for node in session.get_inputs()}
    for _ in range(2):
        session.interrupt()  # of nothing
        timer = threading.Timer(0.1, session.interrupt)
        timer.start()
        with pytest.raises(Exception, match="terminate"):
            session.run(None, feeds)
        timer.join()
