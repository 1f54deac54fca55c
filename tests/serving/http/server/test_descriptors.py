"""The process' limit of open files bounds the connections."""

from __future__ import annotations

from tests.serving.processes import run_python

SCRIPT = """
import resource
from serving.http.server.descriptors import fit_connections
from serving.settings.limits import DEFAULT
for hard in (3000, 300, 100):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    print(fit_connections(DEFAULT).max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_connections_fit() -> None:
    """The soft limit is raised; where the hard one is low, there are fewer connections, or none and a message."""
    result = run_python(SCRIPT)
    assert result.stdout.splitlines() == ["2048 2464", "124 300"]
    assert "this process may open 300 files: it takes 124 connections, not 2048" in result.stderr
    assert "this process may open 100 files; a server needs 192 or more, and 2464 for all" in result.stderr


MACOS = """
import resource
from serving.http.server.descriptors import fit_connections
from serving.settings.limits import DEFAULT
from dataclasses import replace
limits = [256, resource.RLIM_INFINITY]
def set_limit(kind, wanted):
    if wanted[0] > 10240:
        raise ValueError("current limit exceeds maximum limit")
    limits[:] = wanted
resource.getrlimit, resource.setrlimit = lambda kind: tuple(limits), set_limit
print(fit_connections(DEFAULT).max_connections, limits[0])
print(fit_connections(replace(DEFAULT, max_connections=20000)).max_connections, limits[0])
"""


def test_what_macos_allows() -> None:
    """It has no hard limit and takes 10,240 files at most: a server that wants more has fewer connections."""
    result = run_python(MACOS)
    assert result.stdout.splitlines() == ["2048 2464", "8960 10240"], result.stderr
