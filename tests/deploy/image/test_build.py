"""What the image is built from, with or without a checkout, and what its labels say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.image import build
from deploy.image.build import create_labels, web_address
from serving import VERSION
from serving.bundle.bundle import Bundle
from serving.errors import InputError
from tests.test_cli import assert_refused, tuneship_here

OCI = "org.opencontainers.image"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with one commit, which the build takes for its own."""
    monkeypatch.setattr(build, "HOME", tmp_path)
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-30T10:00:00+02:00")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", "https://robot:secret@git.example.org/team/tuneship.git")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    """Run git there; what it prints."""
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_labels_tell_the_commit_and_the_bundle(checkout: Path, tiny_bundle: Path) -> None:
    """The time is the commit's, in UTC; the remote's password is not shown."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_bytes())
    assert create_labels(tiny_bundle) == {
        f"{OCI}.version": VERSION,
        f"{OCI}.created": "2026-11-30T08:00:00+00:00",
        f"{OCI}.revision": git(checkout, "rev-parse", "HEAD"),
        f"{OCI}.source": "https://git.example.org/team/tuneship",
        "dev.tuneship.bundle.name": manifest["name"],
        "dev.tuneship.bundle.digest": f"sha256:{manifest['digest']}",
    }


def test_changed_files_are_told(checkout: Path, tiny_bundle: Path) -> None:
    """A checkout that differs from its commit does not pass for it."""
    (checkout / "file").write_text("2")
    assert create_labels(tiny_bundle)[f"{OCI}.revision"] == git(checkout, "rev-parse", "HEAD") + "-dirty"


def test_source_date_epoch_is_the_time(checkout: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As other reproducible builds have it."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert create_labels(tiny_bundle)[f"{OCI}.created"] == "1970-01-02T00:00:00+00:00"


def test_without_git_the_bundle_tells_the_time(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unpacked archive of the code has no commit and no source."""
    monkeypatch.setattr(build, "HOME", tmp_path)
    labels = create_labels(tiny_bundle)
    assert labels[f"{OCI}.created"] == json.loads((tiny_bundle / "manifest.json").read_bytes())["created"]
    assert not {f"{OCI}.revision", f"{OCI}.source"} & labels.keys()


def test_a_users_repository_is_not_ours(checkout: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Tuneship is installed in an environment inside a repository, the image has no label of that one."""
    monkeypatch.setattr(build, "HOME", checkout / ".venv" / "lib")
    (checkout / ".venv" / "lib").mkdir(parents=True)
    assert not {f"{OCI}.revision", f"{OCI}.source"} & create_labels(tiny_bundle).keys()


def test_what_the_dockerfile_copies(tiny_bundle: Path, tmp_path: Path) -> None:
    """Each file and folder that it copies lies in the context, the bundle's files among them."""
    build.lay_context(tiny_bundle, tmp_path / "context")
    text = re.sub(r"\\\n", "", (tmp_path / "context" / build.DOCKERFILE).read_text()).replace("${DEVICE}", "cpu")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M) for word in line.split()[:-1]]
    assert {"tuneship.py", "bundle", "deploy/image/requirements-cpu.txt"} <= set(copied)
    assert not [name for name in copied if not (tmp_path / "context" / name).exists()]
    assert Bundle.open(tmp_path / "context" / "bundle").digest == Bundle.open(tiny_bundle).digest
    assert not list(tmp_path.rglob("__pycache__"))


def test_wheels_of_extensions(tiny_bundle: Path, tmp_path: Path) -> None:
    """Those that a bundle needs lie in the context, where the Dockerfile installs them; anything else is refused."""
    wheel = tmp_path / "shop_extensions-1.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    build.lay_context(tiny_bundle, tmp_path / "context", [wheel])
    assert contents(tmp_path / "context" / "wheels") == {wheel.name: b"wheel"}
    for wrong in (tmp_path, tmp_path / "missing.whl", tiny_bundle / "manifest.json"):
        with pytest.raises(InputError, match=r"is no wheel; make one by pip wheel"):
            build.lay_context(tiny_bundle, tmp_path / f"context-{wrong.name}", [wrong])


@pytest.mark.slow
def test_the_wheel_has_the_same_files(
    installed: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package lays out the context of the checkout, byte by byte."""
    build.lay_context(tiny_bundle, tmp_path / "checkout")
    monkeypatch.setattr(build, "HOME", installed)
    build.lay_context(tiny_bundle, tmp_path / "installed")
    assert contents(tmp_path / "installed") == contents(tmp_path / "checkout")


def contents(folder: Path) -> dict[str, bytes]:
    """The files' bytes by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_docker(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and no bill is left."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_refused(
        tuneship_here("deploy", "image", tiny_bundle, "--bill", tmp_path / "bill.json"), "there is no docker command"
    )
    assert not list(tmp_path.iterdir())


def test_docker_fails(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its options are passed on, its words are shown, and the command says what failed."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    result = tuneship_here("deploy", "image", tiny_bundle, "--tag", "mine:1", "--", "--build-arg", "FINAL=distroless")
    assert_refused(result, "docker build failed with status 3")
    assert "--tag mine:1 --file" in (tmp_path / "asked").read_text()
    assert "--build-arg FINAL=distroless" in (tmp_path / "asked").read_text()


def test_an_altered_bundle_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """Before Docker is asked for anything."""
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    (bundle / "README.md").write_text("other words")
    assert_refused(tuneship_here("deploy", "image", bundle), "README.md")


def test_the_bill_needs_an_extra(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before anything is built, with the line that installs it."""
    monkeypatch.setitem(sys.modules, "cyclonedx.model", None)
    monkeypatch.delitem(sys.modules, "deploy.image.bom", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_refused(tuneship_here("deploy", "image", tiny_bundle), "bill of materials", "pip install 'tuneship[train]'")


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("git@git.example.org:team/one.git", "https://git.example.org/team/one"),
        ("ssh://git@git.example.org:22/team/one.git", "https://git.example.org/team/one"),
        ("https://git.example.org/team/one", "https://git.example.org/team/one"),
        ("https://token@git.example.org:8443/team/one.git/", "https://git.example.org/team/one"),
        ("/srv/repositories/one", ""),
        ("../one", ""),
        ("file:///srv/one", ""),
        ("", ""),
    ],
)
def test_the_source_is_a_web_address(remote: str, address: str) -> None:
    """Whatever the form of the remote; a folder is no source."""
    assert web_address(remote) == address
