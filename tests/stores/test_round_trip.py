"""A bundle goes to every kind of place and comes back the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.bundle.bundle import Bundle
from serving.observability.progress import Progress, report_to
from stores.cache import Cache
from stores.pull import fetch, pull
from stores.push import push
from stores.targets import parse_target
from tests.bundles import manifest_of

KINDS = ("memory", "file", "s3", "gs", "hf", "bento", "oci")


class Bytes(Progress):
    """How many have arrived."""

    def __init__(self) -> None:
        self.arrived = 0

    def advance(self, count: int) -> None:
        self.arrived += count


def contents(folder: Path) -> dict[str, bytes]:
    """By name, the bytes of every file."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back(
    kind: str, place: Callable[[str], str], tiny_bundle: Path, tmp_path: Path, cache: Cache
) -> None:
    """What arrives is what was pushed; it is downloaded once, and known by its digest from then on."""
    target = parse_target(place(kind))
    digest = push(tiny_bundle, target)
    assert digest == manifest_of(tiny_bundle).digest
    with report_to(first := Bytes()):
        assert pull(target, tmp_path / "out") == digest
    assert contents(tmp_path / "out") == contents(tiny_bundle)
    assert Bundle.open(tmp_path / "out").digest == digest
    assert first.arrived == sum(entry.size for entry in manifest_of(tiny_bundle).files.values())
    with report_to(second := Bytes()):
        assert pull(target, tmp_path / "again") == digest
    assert second.arrived == 0
    assert fetch(parse_target(f"{target.url}#sha256={digest}"), cache) == cache.bundle(digest)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_pushed_twice(kind: str, place: Callable[[str], str], tiny_bundle: Path) -> None:
    """What is there already is left alone."""
    target = parse_target(place(kind))
    assert push(tiny_bundle, target) == push(tiny_bundle, target)
