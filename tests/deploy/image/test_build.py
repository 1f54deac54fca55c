"""What `make image` says of an image: OCI's labels and the bundle's digest."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from deploy.image import build
from deploy.image.build import create_labels, web_address
from serving import VERSION

OCI = "org.opencontainers.image"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with one commit, which the build takes for its own."""
    monkeypatch.setattr(build, "CHECKOUT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
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
    monkeypatch.setattr(build, "CHECKOUT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    labels = create_labels(tiny_bundle)
    assert labels[f"{OCI}.created"] == json.loads((tiny_bundle / "manifest.json").read_bytes())["created"]
    assert not {f"{OCI}.revision", f"{OCI}.source"} & labels.keys()


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
