"""`deploy/compose`: what it may do, that its parts find each other, and that its tools take it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.image.build import DOCKERFILE
from serving.settings.settings import ServerSettings
from tests.paths import ROOT

FOLDER = ROOT / "deploy" / "compose"
IMAGE = f"registry.example.com/tuneship@sha256:{'0' * 64}"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SERVICES = ("server", "prometheus", "grafana")


def compose() -> dict[str, Any]:
    """The file, with `.env`'s variables at their defaults and the only one that has none."""

    def value(found: re.Match[str]) -> str:
        assert found[2], f"{found[1]} has no default and no message"
        return IMAGE if found[2] == "?" else found[3]

    content: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, (FOLDER / "docker-compose.yaml").read_text()))
    return content


def service(name: str) -> dict[str, Any]:
    """One of the three."""
    found: dict[str, Any] = compose()["services"][name]
    return found


def mounts(name: str) -> dict[str, Path]:
    """The files that a service reads, by their paths in its container."""
    pairs = [each.split(":") for each in service(name)["volumes"] if each.startswith(".")]
    assert all(each[2:] == ["ro"] for each in pairs)
    return {inside: FOLDER / own for own, inside, *_ in pairs}


def test_it_has_the_three() -> None:
    """And no other."""
    assert set(compose()["services"]) == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_each_may_do_little(name: str) -> None:
    """No root, no rights, a root file system that cannot be written, bounded memory, CPUs, processes and logs."""
    found = service(name)
    assert found["read_only"]
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert not found["user"].startswith("0")
    assert {"cpus", "mem_limit", "pids_limit"} <= found.keys()
    assert not {"privileged", "network_mode", "pid", "ipc", "devices", "cap_add"} & found.keys()
    assert not any("docker.sock" in each for each in found.get("volumes", []))
    assert found["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_is_named_by_its_digest(name: str) -> None:
    """A tag may be another image tomorrow."""
    assert re.search(r"@sha256:[0-9a-f]{64}$", service(name)["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_reached_from_this_machine_alone(name: str) -> None:
    """None has TLS, and only Grafana asks who one is."""
    assert all(each.startswith("127.0.0.1:") for each in service(name)["ports"])


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_each_tells_its_health(name: str) -> None:
    """The server's is its image's; `tests/test_image.py` runs it. Each waits for the one that it reads."""
    assert service(name)["healthcheck"]["test"][0] == "CMD"
    [awaited] = service(name)["depends_on"].items()
    assert awaited == ({"prometheus": "server", "grafana": "prometheus"}[name], {"condition": "service_healthy"})
    assert "\nHEALTHCHECK " in (ROOT / DOCKERFILE).read_text()


def test_no_secret_stands_in_it() -> None:
    """Grafana's password is a file of the user's, which is not in the repository, and there is no default."""
    variables = {k: v for name in SERVICES for k, v in service(name).get("environment", {}).items()}
    secret = [name for name in variables if re.search("PASSWORD|TOKEN|SECRET|KEY", name)]
    assert secret == ["GF_SECURITY_ADMIN_PASSWORD__FILE"]
    [(name, found)] = compose()["secrets"].items()
    assert variables[secret[0]] == f"/run/secrets/{name}"
    assert not (FOLDER / found["file"]).exists()
    ignored = subprocess.run(["git", "check-ignore", str(FOLDER / found["file"])], cwd=ROOT, capture_output=True)
    assert ignored.returncode == 0


def test_the_server_takes_its_variables() -> None:
    """The settings parse them; Docker waits longer than both of the server's own times."""
    variables = {name: str(value or "") for name, value in service("server")["environment"].items()}
    limits = ServerSettings.from_environment(variables).server_limits
    assert limits.wait_seconds == float(variables["TUNESHIP_WAIT_SECONDS"])
    patience = int(service("server")["stop_grace_period"].removesuffix("s"))
    assert patience > limits.drain_seconds + limits.grace_seconds + 1


def test_the_parts_find_each_other() -> None:
    """Prometheus scrapes the server's port, Grafana asks Prometheus, and shows the project's dashboard."""
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    [job] = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["server:3000"]}]
    files = mounts("prometheus")
    assert [Path(each).name for each in config["rule_files"]] == ["alerts.yaml"]
    assert files["/etc/prometheus/alerts.yaml"].read_bytes() == (ROOT / "deploy" / "alerts.yaml").read_bytes()
    assert (
        f"--config.file={next(path for path in files if path.endswith('prometheus.yaml'))}"
        in service("prometheus")["command"]
    )

    files = mounts("grafana")
    [source] = yaml.safe_load(files["/etc/grafana/provisioning/datasources/tuneship.yaml"].read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    [provider] = yaml.safe_load(files["/etc/grafana/provisioning/dashboards/tuneship.yaml"].read_text())["providers"]
    [shown] = [path for inside, path in files.items() if Path(inside).parent == Path(provider["options"]["path"])]
    assert json.loads(shown.read_text())["title"] == "Tuneship"
    assert shown.read_bytes() == (ROOT / "deploy" / "grafana-dashboard.json").read_bytes()


def compose_command() -> list[str]:
    """Docker's plugin, or the older program."""
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    return pytest.skip("needs docker compose, or docker-compose")


@pytest.mark.slow
def test_docker_compose_takes_it(tmp_path: Path) -> None:
    """Its own reader and schema; without an image it says what to set."""
    command = [*compose_command(), "--file", str(FOLDER / "docker-compose.yaml"), "config"]
    environment = {k: v for k, v in os.environ.items() if k != "IMAGE"}
    taken = subprocess.run(
        command, env={**environment, "IMAGE": IMAGE, "CPUS": "2"}, capture_output=True, text=True, timeout=60
    )
    assert taken.returncode == 0, taken.stderr
    services = yaml.safe_load(taken.stdout)["services"]
    assert services["server"]["image"] == IMAGE
    assert float(services["server"]["cpus"]) == 2
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0
    assert "set IMAGE in .env, by its digest" in refused.stderr


def test_promtool_takes_its_prometheus() -> None:
    """The configuration, and the rules that it names."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, of Prometheus' packages")
    command = [promtool, "check", "config", str(FOLDER / "prometheus.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "rules found" in result.stdout
