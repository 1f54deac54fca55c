"""gRPC's standard health check of a real server, by its own client."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.measurement.process import free_port
from serving.entrypoints.grpc_api.messages import SERVICE
from serving.inference.predictor import Predictor
from tests.serving.processes import ServerProcess, python, running

KEY = "first-key-0123456789"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def request(service: str) -> Any:
    """A check's."""
    return health_pb2.HealthCheckRequest(service=service)


@pytest.fixture(scope="module")
def served(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, int]]:
    """A server that wants a key and drains slowly, and its gRPC port."""
    port, grpc_port, log = free_port(), free_port(), tmp_path_factory.mktemp("health") / "log"
    command = python("-m", "tuneship", "serve", tiny_bundle, "--port", port, "--grpc-port", grpc_port)
    options = {"TUNESHIP_API_KEYS": KEY, "TUNESHIP_DRAIN_SECONDS": 3}
    with running(command, port, log, **options) as server:
        yield server, grpc_port


@pytest.fixture
def health(served: tuple[ServerProcess, int]) -> Iterator[Any]:
    """The generated client."""
    with grpc.insecure_channel(f"127.0.0.1:{served[1]}") as channel:
        yield health_pb2_grpc.HealthStub(channel)


def test_check(health: Any, predictor: Predictor) -> None:
    """Of the server without a key; of a model with one; of an unknown one NOT_FOUND."""
    name, key = predictor.manifest.name, (("authorization", f"Bearer {KEY}"),)
    for service in ("", SERVICE.full_name, "grpc.health.v1.Health"):
        assert health.Check(request(service), timeout=60).status == SERVING
    assert health.Check(request(name), timeout=60, metadata=key).status == SERVING
    for service, metadata, code in ((name, (), "UNAUTHENTICATED"), ("nobody", key, "NOT_FOUND")):
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(request(service), timeout=60, metadata=metadata)
        assert caught.value.code().name == code


def test_watch_unknown(health: Any) -> None:
    """An unknown service is watched: it may come."""
    watch = health.Watch(request("nobody"), timeout=60, metadata=(("x-api-key", KEY),))
    assert next(watch).status == UNKNOWN
    watch.cancel()


@pytest.mark.slow
def test_draining(served: tuple[ServerProcess, int], health: Any) -> None:
    """At SIGTERM a watcher hears it, a check is answered so, and the watch does not hold up the end."""
    server, _ = served
    watch = health.Watch(request(""), timeout=60)
    assert next(watch).status == SERVING
    server.process.send_signal(signal.SIGTERM)
    assert next(watch).status == NOT_SERVING
    assert health.Check(request(""), timeout=60).status == NOT_SERVING
    assert list(watch) == []
    assert server.process.wait(60) == 0
