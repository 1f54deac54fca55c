"""An OCI registry: tags, digests, logins, and what is no artifact."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.errors import InputError, UserError
from stores.errors import Missing, StoreError
from stores.kinds.registry_login import DOCKER_HUB, DOCKER_HUB_LOGIN, Login, docker_login
from stores.pull import pull
from stores.push import push
from stores.store import open_store
from stores.targets import parse_target
from tests.bundles import forge, manifest_of
from tests.stores.registry import HTPASSWD, LOGIN, running_registry


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry that asks for a login, and a file of docker's for it that is empty yet."""
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    (tmp_path / "registry").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with running_registry(tmp_path / "registry", tmp_path / "htpasswd") as address:
        yield address


def log_in(folder: Path, address: str, name: str, password: str) -> None:
    """What `docker login` writes."""
    auth = base64.b64encode(f"{name}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))


@pytest.mark.slow
def test_a_tag_stays(registry: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """It is moved only when told; what it had is still there by its digest, which takes no push."""
    older = forge(tiny_bundle, tmp_path / "older", name="older", files={"old.txt": b""})
    target = parse_target(f"oci:{registry}/team/moved:1.0")
    push(older, target)
    request = urllib.request.Request(f"http://{registry}/v2/team/moved/manifests/1.0", method="HEAD")
    request.add_header("Accept", "application/vnd.oci.image.manifest.v1+json")
    with urllib.request.urlopen(request) as answer:
        digest = answer.headers["Docker-Content-Digest"]
    with pytest.raises(StoreError, match=r"already.*--overwrite"):
        push(tiny_bundle, target)
    push(tiny_bundle, target, overwrite=True)
    assert pull(target, tmp_path / "new") == manifest_of(tiny_bundle).digest
    by_digest = parse_target(f"oci:{registry}/team/moved@{digest}")
    assert pull(by_digest, tmp_path / "old") == manifest_of(older).digest
    with pytest.raises(InputError, match="names a digest"):
        push(tiny_bundle, by_digest, overwrite=True)


@pytest.mark.slow
def test_logins(guarded: str, tiny_bundle: Path, tmp_path: Path) -> None:
    """Docker's login is used; without one, or with a wrong one, the message says so and shows no password."""
    target = parse_target(f"oci:{guarded}/team/one:1.0")
    with pytest.raises(StoreError, match=r"status 401.*docker login"):
        push(tiny_bundle, target)
    log_in(tmp_path, guarded, LOGIN[0], "wr0ng")
    with pytest.raises(StoreError, match="status 401") as caught:
        push(tiny_bundle, target)
    assert "wr0ng" not in str(caught.value)
    log_in(tmp_path, guarded, *LOGIN)
    digest = push(tiny_bundle, target)
    assert pull(target, tmp_path / "out") == digest


class TokenRegistry:
    """A registry that sends its callers to another host for a token, as Docker's hub does."""

    def __init__(self, password: str) -> None:
        self.basic, self.asked = httpx.BasicAuth("tuner", password)._auth_header, list[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.host}{request.url.path}")
        given = request.headers.get("Authorization")
        if request.url.host == "auth.example.org":
            assert dict(request.url.params) == {"service": "registry", "scope": "repository:team/one:pull"}
            known = given == self.basic
            return httpx.Response(200, json={"token": "t0ken"}) if known else httpx.Response(401)
        if given == "Bearer t0ken":
            return httpx.Response(200, json={"layers": []})
        challenge = 'Bearer realm="https://auth.example.org/token",service="registry",scope="repository:team/one:pull"'
        return httpx.Response(401, headers={"WWW-Authenticate": challenge})


@pytest.mark.parametrize(("host", "name"), [("ghcr.io", "https://ghcr.io"), (DOCKER_HUB, DOCKER_HUB_LOGIN)])
def test_a_token(host: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Got for docker's login, under each of the names that docker has for a host, and kept for the next request."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    log_in(tmp_path, name, "tuner", "s3cret")
    for password, statuses in (("s3cret", [200, 200]), ("revoked", [401, 401])):
        registry = TokenRegistry(password)
        with httpx.Client(
            base_url=f"https://{host}", auth=Login(host), transport=httpx.MockTransport(registry)
        ) as client:
            assert [client.get("/v2/team/one/manifests/1").status_code for _ in range(2)] == statuses
        tokens = sum("auth.example.org" in each for each in registry.asked)
        assert tokens == (1 if statuses[0] == 200 else 2)


def test_dockers_own_hub_has_another_address() -> None:
    """`docker.io` is what images are named by."""
    store = open_store(parse_target("oci:docker.io/team/one:1.0"))
    assert store.registry.client.base_url.host == DOCKER_HUB  # type: ignore[attr-defined]


def test_a_login_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's file may name a program that knows the login."""
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "toy"}))
    helper = tmp_path / "docker-credential-toy"
    helper.write_text('#!/bin/sh\nread host; echo "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"s3cret\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert docker_login("example.org") == base64.b64encode(b"example.org:s3cret").decode()
    helper.unlink()
    assert docker_login("example.org") is None


def test_no_artifact_of_files(registry: str, tmp_path: Path) -> None:
    """An image's layers have no file names."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": f"sha256:{'0' * 64}", "size": 2},
        "layers": [],
    }
    store = open_store(parse_target(f"oci:{registry}/team/image:1.0"))
    manifest["config"] = {**manifest["config"], **store._upload_bytes(b"{}")}  # type: ignore[dict-item,attr-defined]
    with store.registry.ask(  # type: ignore[attr-defined]
        "PUT", "manifests/1.0", {"Content-Type": str(manifest["mediaType"])}, json.dumps(manifest).encode()
    ):
        pass
    with pytest.raises(Missing, match="is no bundle"):
        pull(parse_target(f"oci:{registry}/team/image:1.0"), tmp_path / "out")


def test_nobody_answers(tmp_path: Path) -> None:
    """No network is a message; so is a name that is none."""
    with pytest.raises(StoreError, match="registry cannot be reached"):
        pull(parse_target("oci:127.0.0.1:9/team/one:1.0"), tmp_path / "out")
    for name in ("one", "Host/UPPER:1", "127.0.0.1:9/../x:1", "h/x:1:2", "h/x@sha256:0", "user:pw@h/x:1"):
        with pytest.raises(UserError, match="give oci:REGISTRY/NAME:TAG"):
            open_store(parse_target(f"oci:{name}"))
