"""A bundle as an image (`deploy/kserve/model.Dockerfile`), served by the server's image in both ways KServe has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from tests.containers import build_image, container, docker, wait_until_ready, why_no_engine
from tests.deploy.kserve.test_manifests import read, runtime
from tests.deploy.manifests import Object
from tests.paths import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine() or "engine")]

MODELS = "/models"
"""In the image."""
RESTRICTED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "10001:10001")


@pytest.fixture(scope="module")
def image(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server's."""
    return build_image(tiny_bundle, tmp_path_factory.mktemp("image"))


def build_model(bundle: Path, folder: Path, base: str = "scratch") -> str:
    """The bundle's image, of nothing else or on a base; gives its id."""
    file, number = ROOT / "deploy" / "kserve" / "model.Dockerfile", folder / "image-id"
    docker("build", "--file", str(file), "--build-arg", f"BASE={base}", "--iidfile", str(number), str(bundle))
    return number.read_text().strip()


def variables(port: int) -> Iterator[str]:
    """The runtime's, as KServe fills them in for the service."""
    for each in runtime()["containers"][0]["env"]:
        yield from ("--env", f"{each['name']}={each['value']}".replace("{{.Name}}", service()))
    yield from ("--env", f"PORT={port}")


def service() -> str:
    """The inference service's name."""
    manifest: Object = read("inference-service")
    return str(manifest["metadata"]["name"])


@contextmanager
def removed(image: str) -> Iterator[str]:
    """The image, until the end of the block."""
    try:
        yield image
    finally:
        subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True, timeout=60, check=False)


def test_an_image_volume_is_the_bundle(tiny_bundle: Path, image: str, tmp_path: Path) -> None:
    """`oci+native://`: its folder /models, mounted read-only, is verified and served under the service's name."""
    port, mounted = free_port(), tmp_path / "models"
    with removed(build_model(tiny_bundle, tmp_path)) as model:
        name = docker("create", model, "none")
        docker("cp", f"{name}:/models", str(mounted))
        docker("rm", name)
    options = ("--volume", f"{mounted}:/mnt/models:ro", *RESTRICTED, *variables(port))
    with container(*options, image=image) as name:
        wait_until_ready(port, name, 60)
        assert f"serving {service()} " in logs(name)


def test_a_sidecar_shares_the_bundle(tiny_bundle: Path, image: str, tmp_path: Path) -> None:
    """`oci://`: a link to the sidecar's root through /proc, which only the same user may read."""
    (tmp_path / "mnt").mkdir()
    os.chown(tmp_path / "mnt", 10001, 10001)
    port, mount = free_port(), ("--volume", f"{tmp_path / 'mnt'}:/mnt")
    share = ("-c", f"ln -s /proc/$$/root{MODELS} /mnt/models && sleep 300; true")
    with removed(build_model(tiny_bundle, tmp_path, base=image)) as model:
        own = ("--user", "10001:10001", "--cap-drop", "ALL", "--entrypoint", "sh", *mount)
        with container(*own, image=model, command=share) as sidecar:
            docker("exec", sidecar, "sh", "-c", "until [ -e /mnt/models ]; do sleep 0.1; done")
            options = ("--pid", f"container:{sidecar}", *mount, *RESTRICTED, *variables(port))
            with container(*options, image=image) as name:
                wait_until_ready(port, name, 60)
                assert f"serving {service()} " in logs(name)
            other = docker("exec", "--user", "1010", sidecar, "sh", "-c", f"ls /proc/1/root{MODELS} 2>&1 || true")
            assert "Permission denied" in other


def logs(name: str) -> str:
    """What a container has said."""
    result = subprocess.run(["docker", "logs", name], capture_output=True, text=True, timeout=60, check=False)
    return result.stdout + result.stderr
