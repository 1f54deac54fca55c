"""A server of targets: it pulls, serves, and looks for new versions at the place."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from deploy.measurement.process import free_port
from stores.cache import Cache
from stores.push import push
from stores.targets import parse_target
from tests.bundles import forge, manifest_of
from tests.serving.processes import get, python, running, serving, until
from tests.stores.gcs import Gcs
from tests.stores.hub import Hub


def digest_of(url: str, path: str = "") -> str:
    """What a server says it serves."""
    return str(json.loads(get(f"{url}{path}/info")[1])["bundle_sha256"])


@pytest.mark.slow
def test_served_and_watched(hub: Hub, tiny_bundle: Path, tmp_path: Path, cache: Cache) -> None:
    """The bundle of a target answers under a name; a push brings the next version, and an outage leaves it serving."""
    first, target = manifest_of(tiny_bundle).digest, parse_target("hf:team/one")
    push(tiny_bundle, target)
    newer = forge(tiny_bundle, tmp_path / "newer", data_warnings=["newer"])
    pinned = f"old=hf:team/one#sha256={first}"
    with serving("one=hf:team/one", pinned, folder=tmp_path, TUNESHIP_WATCH="1") as server:
        assert digest_of(server.url) == digest_of(server.url, "/models/old") == first
        second = push(newer, target)
        until(lambda: digest_of(server.url) == second)
        assert digest_of(server.url, "/models/old") == first
        hub.public, hub.token = False, "hf_revoked_since_then"
        until(lambda: "HF_TOKEN is missing, expired or revoked" in server.log.read_text())
        body = json.dumps({"inputs": "where is my parcel?"}).encode()
        request = urllib.request.Request(f"{server.url}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
        assert "Traceback" not in server.log.read_text()
    assert {folder.name for folder in (cache.root / "bundles").iterdir()} == {first, second}


@pytest.mark.slow
def test_not_there(hub: Hub, tmp_path: Path) -> None:
    """The start ends with a message."""
    from tests.test_cli import assert_refused, tuneship

    assert_refused(tuneship("serve", "x=hf:team/none", "--port", "1"), "hf:team/none: there is no such repository")


@pytest.mark.slow
def test_vertexs_artifacts(gcs: Gcs, tiny_bundle: Path, tmp_path: Path) -> None:
    """Where Vertex AI tells a copy in a bucket, a server without arguments pulls and serves it, at its port."""
    target, port = "gs://models/copies/1", free_port()
    digest = push(tiny_bundle, parse_target(target))
    variables = {"AIP_STORAGE_URI": target, "AIP_HTTP_PORT": port, "STORAGE_EMULATOR_HOST": gcs.url}
    with running(python("-m", "tuneship", "serve"), port, tmp_path / "log", **variables) as server:
        assert digest_of(server.url) == digest
