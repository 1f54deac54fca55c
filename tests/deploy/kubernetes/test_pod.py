"""The pod of `deploy/kubernetes/base`, run by Docker with the same user, rights, limits, variables and times."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from tests.containers import build_image, container, docker, wait_until_ready, why_no_engine
from tests.deploy.manifests import Object, pods, read_base

pytestmark = [pytest.mark.docker, pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine() or "engine")]

BODY = json.dumps({"inputs": ["where is my parcel?"]}).encode()


def pod() -> Object:
    """The base's."""
    [found] = pods(read_base())
    return found


def options(port: int) -> Iterator[str]:
    """The pod's settings in Docker's words."""
    own, rights = pod()["securityContext"], pod()["containers"][0]["securityContext"]
    limits = pod()["containers"][0]["resources"]["limits"]
    yield from ("--user", f"{own['runAsUser']}:{own['runAsGroup']}")
    yield from ("--cap-drop", *rights["capabilities"]["drop"])
    if not rights["allowPrivilegeEscalation"]:
        yield from ("--security-opt", "no-new-privileges")
    if rights["readOnlyRootFilesystem"]:
        yield "--read-only"
    yield from ("--cpus", limits["cpu"], "--memory", limits["memory"].replace("Mi", "m"))
    sizes = {each["name"]: each["emptyDir"]["sizeLimit"].replace("Mi", "m") for each in pod()["volumes"]}
    for mount in pod()["containers"][0]["volumeMounts"]:
        yield from ("--tmpfs", f"{mount['mountPath']}:size={sizes[mount['name']]}")
    for each in pod()["containers"][0]["env"]:
        yield from ("--env", f"{each['name']}={each['value']}")
    yield from ("--env", f"PORT={port}")


@pytest.fixture(scope="module")
def image(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The image with the tiny bundle."""
    return build_image(tiny_bundle, tmp_path_factory.mktemp("image"))


@pytest.fixture
def server(image: str) -> Iterator[tuple[str, int]]:
    """A ready container's name, and its port."""
    port = free_port()
    with container(*options(port), image=image) as name:
        wait_until_ready(port, name)
        yield name, port


def status(port: int, path: str) -> int:
    """Of a probe; 0 where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def begin_request(port: int) -> socket.socket:
    """A request whose body is half sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
    connection.sendall(head.encode() + BODY[:10])
    return connection


def test_its_probes_answer(server: tuple[str, int]) -> None:
    """All three, and so does a request."""
    _, port = server
    for kind in ("startup", "readiness", "liveness"):
        assert status(port, pod()["containers"][0][f"{kind}Probe"]["httpGet"]["path"]) == 200
    with begin_request(port) as connection:
        connection.sendall(BODY[10:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_it_is_as_large_as_its_limits(server: tuple[str, int]) -> None:
    """The graph has as many threads as the CPU limit, and the largest request does not exceed the memory."""
    name, port = server
    script = "from serving.settings.settings import available_cpus; print(available_cpus())"
    assert docker("exec", name, "python", "-c", script) == pod()["containers"][0]["resources"]["limits"]["cpu"]
    body = json.dumps({"inputs": ["where is my parcel? " * 1000] * 128}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/predict", body, headers)) as answer:
        assert len(json.load(answer)) == 128
    assert docker("inspect", name, "--format", "{{.State.Running}} {{.State.OOMKilled}}") == "true false"


def test_it_drains(server: tuple[str, int]) -> None:
    """After SIGTERM it is not ready and still answers; a request begun before is answered; then it ends with 0.

    Within the pod's grace period, after which it would be killed.
    """
    name, port = server
    drain = float(dict(env_of())["TUNESHIP_DRAIN_SECONDS"])
    with begin_request(port) as connection:
        stopped = time.monotonic()
        docker("kill", "--signal", "TERM", name)
        wait_until(lambda: status(port, "/readyz") == 503, drain)
        with begin_request(port) as late:  # by a load balancer that has not heard of it yet
            late.sendall(BODY[10:])
            assert late.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(drain + 1)
        assert status(port, "/readyz") == 0
        connection.sendall(BODY[10:])
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert docker("wait", name, timeout=60) == "0"
    assert time.monotonic() - stopped < pod()["terminationGracePeriodSeconds"]


def env_of() -> Iterator[tuple[str, str]]:
    """The pod's variables."""
    for each in pod()["containers"][0]["env"]:
        yield each["name"], each["value"]


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    """An AssertionError where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_writes_nothing_but_tmp(server: tuple[str, int]) -> None:
    """Its root cannot be written, nor can it gain rights."""
    name, _ = server
    write = ["docker", "exec", name, "python", "-c", "open('/app/x', 'w')"]
    result = subprocess.run(write, capture_output=True, text=True, timeout=60, check=False)
    assert "Read-only file system" in result.stderr
    assert docker("exec", name, "python", "-c", "print(open('/tmp/x', 'w').write('1'))") == "1"
    status_of = docker("exec", name, "python", "-c", "print(open('/proc/1/status').read())")
    assert "NoNewPrivs:\t1" in status_of
    assert "CapEff:\t0000000000000000" in status_of
