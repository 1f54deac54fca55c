"""BentoML's store of models: versions, and nothing of it that is a pickle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from serving.errors import InputError
from stores.errors import Missing, StoreError
from stores.pull import pull
from stores.push import push
from stores.store import open_store
from stores.targets import parse_target
from tests.bundles import forge, manifest_of


def test_versions(bento_home: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """A version stays what it is unless told; without one, a push makes the next and a pull takes the latest."""
    older = forge(tiny_bundle, tmp_path / "older", name="older", files={"old.txt": b"old"})
    push(older, parse_target("bento:one:1.0"))
    with pytest.raises(StoreError, match=r"already.*--overwrite"):
        push(tiny_bundle, parse_target("bento:one:1.0"))
    push(tiny_bundle, parse_target("bento:one"))
    assert pull(parse_target("bento:one"), tmp_path / "latest") == manifest_of(tiny_bundle).digest
    assert pull(parse_target("bento:one:1.0"), tmp_path / "first") == manifest_of(older).digest
    push(tiny_bundle, parse_target("bento:one:1.0"), overwrite=True)
    assert pull(parse_target("bento:one:1.0"), tmp_path / "now") == manifest_of(tiny_bundle).digest


def test_no_other_version_is_meant(bento_home: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """BentoML would take the beginning of a version for it."""
    push(tiny_bundle, parse_target("bento:one:1.0"))
    with pytest.raises(Missing, match=r"did you mean bento:one:1\.0"):
        pull(parse_target("bento:one:1"), tmp_path / "out")
    with pytest.raises(Missing, match="bentoml models list"):
        pull(parse_target("bento:two"), tmp_path / "out")


def test_a_link_is_not_followed(bento_home: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """A file of the store that points elsewhere is none."""
    push(tiny_bundle, parse_target("bento:one:1.0"))
    (there,) = bento_home.rglob("golden.jsonl")
    there.unlink()
    shutil.copyfile(tiny_bundle / "golden.jsonl", tmp_path / "elsewhere")
    there.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="not a regular file"):
        pull(parse_target("bento:one:1.0"), tmp_path / "out")


@pytest.mark.parametrize("name", ["one:latest", "../one:1", "a/b/c:1", "Ä:1"])
def test_names(name: str) -> None:
    """Names are BentoML's; the latest is named by no version."""
    with pytest.raises(InputError, match="give bento:NAME"):
        open_store(parse_target(f"bento:{name}"))
