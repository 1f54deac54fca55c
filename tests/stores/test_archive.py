"""``….tar.gz``: a bundle as one file, as SageMaker unpacks it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stores.errors import Missing, StoreError
from stores.pull import pull
from stores.push import push
from stores.targets import parse_target
from tests.bundles import forge, manifest_of
from tests.stores.test_round_trip import contents


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "memory", "s3", "gs"])
def test_there_and_back(kind: str, place: Callable[[str], str], tiny_bundle: Path, tmp_path: Path) -> None:
    """Wherever fsspec reaches; with a digest or without."""
    target = parse_target(f"{place(kind)}/model.tar.gz")
    digest = push(tiny_bundle, target)
    assert push(tiny_bundle, target) == digest == manifest_of(tiny_bundle).digest
    assert pull(parse_target(f"{target.url}#sha256={digest}"), tmp_path / "out") == digest
    assert contents(tmp_path / "out") == contents(tiny_bundle)


@pytest.fixture
def archive(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A pushed one."""
    push(tiny_bundle, parse_target(f"file://{tmp_path}/model.tar.gz"))
    return tmp_path / "model.tar.gz"


def test_as_sagemaker_unpacks_it(archive: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """The files lie at its top, and everybody may read them: the server is not root."""
    with tarfile.open(archive) as members:
        assert {(each.mode, each.uid, each.mtime) for each in members} == {(0o644, 0, 0)}
        members.extractall(tmp_path / "opt", filter="data")
    assert contents(tmp_path / "opt") == contents(tiny_bundle)


def test_equal_bytes(archive: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """Two pushes of a bundle are the same file, and leave no other behind."""
    push(tiny_bundle, parse_target(f"file://{tmp_path}/again/model.tar.gz"))
    assert archive.read_bytes() == (tmp_path / "again" / "model.tar.gz").read_bytes()
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["model.tar.gz"]


def test_another_bundle(archive: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """Is replaced only if asked for."""
    other, target = forge(tiny_bundle, tmp_path / "other", data_warnings=["other"]), parse_target(f"file://{archive}")
    with pytest.raises(StoreError, match=r"has the bundle sha256 .* already; give another target, or --overwrite"):
        push(other, target)
    assert pull(target, tmp_path / "out") == manifest_of(tiny_bundle).digest
    assert push(other, target, overwrite=True) == pull(target, tmp_path / "out") == manifest_of(other).digest


def test_by_tar_itself(tiny_bundle: Path, tmp_path: Path) -> None:
    """An archive of `tar -C BUNDLE .` is read too; links and names that lead out of it are no files of a bundle."""
    with tarfile.open(tmp_path / "own.tar.gz", "w:gz") as archive:
        archive.add(tiny_bundle, ".")
        link = tarfile.TarInfo("model.onnx")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("../../outside"), io.BytesIO())
    assert pull(parse_target(f"file://{tmp_path}/own.tar.gz"), tmp_path / "out") == manifest_of(tiny_bundle).digest
    assert contents(tmp_path / "out") == contents(tiny_bundle)
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize("kept", [0, 10, 2000])
def test_half_an_archive(kept: int, archive: Path, tmp_path: Path) -> None:
    """Is refused, and nothing is written."""
    archive.write_bytes(archive.read_bytes()[:kept])
    with pytest.raises(StoreError, match=r"is no whole \.tar\.gz archive"):
        pull(parse_target(f"file://{archive}"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_archive(tmp_path: Path) -> None:
    """Nothing there, a folder's name, or an archive without a manifest."""
    with pytest.raises(Missing, match="there is nothing there"):
        pull(parse_target(f"file://{tmp_path}/none.tar.gz"), tmp_path / "out")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("model.pkl"), io.BytesIO())
    with pytest.raises(Missing, match=r"is no bundle: it has no manifest\.json"):
        pull(parse_target(f"file://{tmp_path}/other.tar.gz"), tmp_path / "out")
