"""What is changed in BentoML: made where BentoML is as expected; else the log tells, and the service starts."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import circus.watcher
import pytest
import uvicorn
from opentelemetry.instrumentation import asgi

from serving.bento import changes
from serving.settings.limits import ServerLimits
from tests.serving.processes import run_python

# Not imported above: the module changes BentoML in this process.
traffic = importlib.import_module("bentoml._internal.server.http.traffic")

EACH = """
import logging
logging.basicConfig()
from serving.bento import changes
from serving.settings.limits import ServerLimits
limits = ServerLimits()
print(
    changes.disable_timeouts(), changes.disable_spans(), changes.watch_worker(limits),
    changes.use_connection(limits, print), changes.use_server(limits),
)
"""


def test_each_is_made() -> None:
    """With the BentoML of this environment, and without a word."""
    result = run_python(EACH)
    assert result.stdout.split() == ["True"] * 5, result.stderr
    assert "not made" not in result.stderr


class CancelsItsTimer:
    """A middleware that needs no change: it has none of the parts that the change is for."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class TakesAnEvent:
    """A middleware of another protocol."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, event: Any) -> None:
        await self.app(event)


class Watches:
    """A supervisor's watcher without the options."""

    def __init__(self, name: str) -> None:
        self.name = name


CASES: list[tuple[Callable[[], bool], Any, str, Any, str]] = [
    (changes.disable_timeouts, traffic, "TimeoutMiddleware", CancelsItsTimer, "sets no timer by call_later"),
    (changes.disable_timeouts, traffic, "TimeoutMiddleware", None, "has no attribute"),
    (changes.disable_spans, asgi, "OpenTelemetryMiddleware", TakesAnEvent, "TakesAnEvent is no ASGI app"),
    (lambda: changes.watch_worker(ServerLimits()), circus.watcher, "Watcher", Watches, "graceful_timeout, send_hup"),
    (lambda: changes.use_server(ServerLimits()), uvicorn, "Server", Watches, "takes no config"),
]


@pytest.mark.parametrize(("make", "module", "name", "other", "reason"), CASES, ids=range(len(CASES)))
def test_another_bentoml(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    make: Callable[[], bool], module: Any, name: str, other: Any, reason: str,
) -> None:  # fmt: skip
    """What has another shape is left as it is, and the log names the reason and what follows."""
    before = dict(vars(other)) if other else {}
    if other:
        monkeypatch.setattr(module, name, other)
    else:
        monkeypatch.delattr(module, name)
    with caplog.at_level(logging.WARNING, "tuneship"):
        assert make() is False
    assert reason in caplog.text
    assert "is not made" in caplog.text
    assert getattr(module, name, None) is other
    assert dict(vars(other)) == before if other else True


def test_another_server_is_told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which server BentoML creates is known once it runs."""
    monkeypatch.setattr(changes.WatchedServer, "taken", False)
    changes.warn_of_another_server()
    assert "BentoML runs the app by another server" in caplog.text
    caplog.clear()
    changes.WatchedServer(uvicorn.Config("app"))
    changes.warn_of_another_server()
    assert caplog.text == ""


CHANGED = """
import bentoml._internal.server.http.traffic as traffic, circus.watcher
del traffic.TimeoutMiddleware.__call__
circus.watcher.Watcher.__init__ = lambda self, name: None
import serving.service
print(serving.service.Tuneship.name)
"""


@pytest.mark.slow
def test_the_service_starts_all_the_same(tiny_bundle: Path) -> None:
    """With a BentoML that has changed, the module of the service can be imported."""
    result = run_python(CHANGED, TUNESHIP_BUNDLE=tiny_bundle)
    assert result.stdout == "tuneship-service\n", result.stderr
    assert "disable_timeouts of BentoML" in result.stderr
    assert "watch_worker of BentoML" in result.stderr
    assert "use_server" not in result.stderr
