"""An artifact of an OCI registry, each file a layer: ``oci:registry/name[:tag]``. Logins are those of docker.

https://github.com/opencontainers/distribution-spec and image-spec
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from stores.errors import Missing, StoreError, readable
from stores.kinds.registry_login import DOCKER_HUB, Login
from stores.store import at_most, require, skip, track_files
from stores.targets import Target

_NAME = re.compile(  # https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
    r"(?P<host>[A-Za-z0-9.-]+(:\d+)?)/(?P<repository>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)(:(?P<tag>\w[\w.-]{0,127})|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.tuneship.bundle.v4"
LAYER_TYPE = "application/octet-stream"
EMPTY = b"{}"
TITLE = "org.opencontainers.image.title"
"""The name of a layer's file, as oras and ORAS-aware tools have it."""

MOST_MANIFEST_BYTES = 4 * 2**20
SECONDS = 60.0


@dataclass(frozen=True)
class Registry:
    """A repository at a registry. One of this machine is asked by http, as docker does."""

    target: Target
    host: str
    repository: str

    @cached_property
    def client(self) -> httpx.Client:
        host = DOCKER_HUB if self.host == "docker.io" else self.host
        scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
        base = f"{scheme}://{host}/v2/{self.repository}/"
        return httpx.Client(base_url=base, auth=Login(host), follow_redirects=True, timeout=SECONDS)

    @contextmanager
    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, content: Any = None
    ) -> Iterator[httpx.Response]:
        """The answer below 400, to be read in the block; raises Missing, StoreError."""
        with (
            readable(self.target, explain),
            self.client.stream(method, path, headers=headers, content=content) as answer,
        ):
            if answer.status_code == 404:
                raise Missing(f"{self.target}: the registry has no such name, tag or file")
            if answer.status_code >= 400:
                answer.read()
                raise StoreError(f"{self.target}: {_describe(answer)}")
            yield answer


@dataclass(frozen=True)
class Artifact:
    """A manifest, and its layers by the names of their files."""

    registry: Registry
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def sizes(self) -> Mapping[str, int]:
        return {name: layer["size"] for name, layer in self.layers.items()}

    @contextmanager
    def read(self, name: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        if name not in self.layers:
            raise Missing(f"{self.registry.target}: the artifact has no file {name}")
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        with self.registry.ask("GET", f"blobs/{self.layers[name]['digest']}", headers) as answer:
            yield skip(answer.iter_bytes(), start if answer.status_code == 200 else 0)


@dataclass(frozen=True)
class Repository:
    """A tag is moved by a push, so that it is no version; a digest is one, and cannot be pushed to."""

    registry: Registry
    reference: str
    versioned: bool = False

    def snapshot(self) -> Artifact:
        with self.registry.ask("GET", f"manifests/{self.reference}", {"Accept": MANIFEST_TYPE}) as answer:
            content = b"".join(at_most(answer.iter_bytes(), MOST_MANIFEST_BYTES))
        return Artifact(self.registry, _parse_layers(content, self.registry.target))

    def write(self, folder: Path, names: Sequence[str], stale: Sequence[str]) -> None:
        """The tag comes last."""
        if ":" in self.reference:
            raise InputError(f"{self.registry.target}: names a digest; a push takes a tag, such as :1.0")
        layers = [self._upload(folder / name, name) for name in track_files(folder, names)]
        config = {**self._upload_bytes(EMPTY), "mediaType": "application/vnd.oci.empty.v1+json"}
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": ARTIFACT_TYPE, "config": config,
            "layers": layers,
        }  # fmt: skip
        content = json.dumps(manifest).encode()
        with self.registry.ask("PUT", f"manifests/{self.reference}", {"Content-Type": MANIFEST_TYPE}, content):
            pass

    def _upload(self, path: Path, name: str) -> dict[str, Any]:
        digest, size = f"sha256:{sha256_of(path)}", path.stat().st_size
        if not self._has(digest):
            with path.open("rb") as file:
                self._put(digest, size, file)
        return {"mediaType": LAYER_TYPE, "digest": digest, "size": size, "annotations": {TITLE: name}}

    def _upload_bytes(self, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if not self._has(digest):
            self._put(digest, len(content), content)
        return {"digest": digest, "size": len(content)}

    def _has(self, digest: str) -> bool:
        try:
            with self.registry.ask("HEAD", f"blobs/{digest}"):
                return True
        except Missing:
            return False

    def _put(self, digest: str, size: int, content: Any) -> None:
        """The session is opened first, so that there is a login before anything is streamed."""
        with self.registry.ask("POST", "blobs/uploads/", {"Content-Length": "0"}) as session:
            place = session.url.join(session.headers["Location"]).copy_merge_params({"digest": digest})
        headers = {"Content-Type": LAYER_TYPE, "Content-Length": str(size)}
        with self.registry.ask("PUT", str(place), headers, content):
            pass


def open_store(target: Target) -> Repository:
    found = _NAME.fullmatch(target.name)
    require(found is not None, target, "oci:REGISTRY/NAME:TAG, such as oci:ghcr.io/team/intents:1.0")
    assert found is not None
    return Repository(Registry(target, found["host"], found["repository"]), found["digest"] or found["tag"] or "latest")


def _parse_layers(content: bytes, target: Target) -> dict[str, Mapping[str, Any]]:
    """By the name of a file; the names are checked by who writes files."""
    try:
        layers = json.loads(content)["layers"]
        found = {str(each["annotations"][TITLE]): each for each in layers}
        known = all(isinstance(each["size"], int) and isinstance(each["digest"], str) for each in layers)
    except (ValueError, KeyError, TypeError):
        known, found = False, {}
    if not known or not all(_is_digest(each["digest"]) for each in found.values()):
        raise StoreError(f"{target}: is no artifact of files, but an image or something else; check the name")
    return found


def _is_digest(text: str) -> bool:
    kind, _, digits = text.partition(":")
    return kind == "sha256" and len(digits) == 64 and digits.isalnum()


def _describe(answer: httpx.Response) -> str:
    if answer.status_code in (401, 403):
        return (
            f"the registry refuses with status {answer.status_code}: the login is missing, expired or revoked, or may"
            " not do this; log in by docker login or oras login"
        )
    try:
        reasons = [str(each.get("message")) for each in answer.json()["errors"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        reasons = [answer.reason_phrase]
    return f"the registry answers with status {answer.status_code}: {'; '.join(reasons)[:200]}"


def explain(error: Exception) -> str | None:
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return f"the registry cannot be reached ({type(error).__name__}); check the network and the address"
    return None
