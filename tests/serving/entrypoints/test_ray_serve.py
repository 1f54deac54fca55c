"""Ray Serve's app: two replicas of a real Ray on this machine answer as the bundle's proof says."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from serving.bundle.bundle import Bundle
from serving.entrypoints.golden_check import check_golden
from serving.entrypoints.remote_client import RemoteServer
from tests.paths import ROOT
from tests.serving.processes import ServerProcess, environment, get, running, until

PYTHON = ROOT / ".venv-ray" / "bin" / "python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no .venv-ray: make ray"),
    pytest.mark.xdist_group("ray"),
]


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """An application of a Serve config file, as teams deploy it."""
    folder, port = tmp_path_factory.mktemp("serve"), free_port()
    application = {
        "name": "support", "import_path": "serving.entrypoints.ray_serve:build", "route_prefix": "/",
        "args": {"bundle": str(tiny_bundle)}, "deployments": [{"name": "tuneship", "num_replicas": 2}],
    }  # fmt: skip
    config = {"http_options": {"host": "127.0.0.1", "port": port}, "applications": [application]}
    (folder / "serve.yaml").write_text(json.dumps(config))
    short = tempfile.mkdtemp()  # the names of Ray's sockets have at most 107 letters
    command = [str(PYTHON), "-m", "ray.serve.scripts", "run", str(folder / "serve.yaml")]
    try:
        with running(command, port, folder / "log", 120, RAY_TMPDIR=short, RAY_USAGE_STATS_ENABLED=0) as server:
            yield server
    finally:
        shutil.rmtree(short, ignore_errors=True)


def test_golden_answers(server: ServerProcess, tiny_bundle: Path) -> None:
    """Each recorded answer of the bundle comes back over HTTP."""
    reports = check_golden(Bundle.open(tiny_bundle), "Ray Serve", RemoteServer(server.url).predict)
    assert [(report.rows, report.differences) for report in reports] == [(reports[0].rows, [])] * 2


def test_two_replicas(server: ServerProcess) -> None:
    """Ray sends requests to both, which started at different times."""
    started: set[str] = set()

    def ask() -> bool:
        pages = pool.map(lambda _: get(f"{server.url}/metrics")[1], range(16))
        lines = [line for page in pages for line in page.splitlines()]
        started.update(line for line in lines if line.startswith("process_start_time_seconds"))
        return len(started) == 2

    with ThreadPoolExecutor(8) as pool:
        until(ask, 60)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("bundel", "bundel: Ray Serve's app has no such argument; it has bundle, threads"),
        ("bundle", "is not a bundle: it has no manifest.json"),
    ],
)
def test_mistakes_show_in_the_command(argument: str, message: str, tmp_path: Path) -> None:
    """An argument that does not exist, or a folder without a bundle, is told before a replica starts."""
    command = f"from serving.entrypoints.ray_serve import build; build({{'{argument}': '{tmp_path}'}})"
    result = subprocess.run(
        [PYTHON, "-c", command], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert message in result.stderr.splitlines()[-1]
