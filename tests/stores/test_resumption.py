"""A pull that was killed goes on where it ended, and several at once share one download."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from stores.cache import Cache
from stores.errors import StoreError
from stores.pull import fetch, pull
from stores.push import push
from stores.targets import parse_target
from tests.bundles import manifest_of
from tests.paths import ROOT
from tests.serving.processes import environment, python
from tests.stores.hub import Hub

TARGET = "hf:team/one"
LARGE = "model.onnx"


def start_pull(output: Path) -> subprocess.Popen[bytes]:
    """`tuneship pull` in a process of its own."""
    command = python("-m", "tuneship", "pull", TARGET, "--output", output)
    return subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=subprocess.PIPE)


@pytest.mark.slow
def test_a_killed_pull_goes_on(hub: Hub, tiny_bundle: Path, tmp_path: Path, cache: Cache) -> None:
    """What arrived stays in the cache; nothing is seen at --output until all is there."""
    digest, size = push(tiny_bundle, parse_target(TARGET)), (tiny_bundle / LARGE).stat().st_size
    hub.stall_after = max(path.stat().st_size for path in tiny_bundle.iterdir() if path.name != LARGE) + 1000
    assert hub.stall_after < size
    process = start_pull(tmp_path / "out")
    assert hub.stalled.wait(60)
    partial = cache.partial(digest) / LARGE
    while not partial.exists() or partial.stat().st_size < hub.stall_after:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    arrived = partial.stat().st_size
    assert not (tmp_path / "out").exists()
    assert not cache.bundle(digest).exists()
    hub.stall_after, hub.ranges = None, []
    assert start_pull(tmp_path / "out").wait() == 0
    assert f"{LARGE} bytes={arrived}-" in hub.ranges
    assert manifest_of(tmp_path / "out").digest == digest
    assert hub.sent[LARGE] == size


@pytest.mark.slow
@pytest.mark.parametrize("ranges", [True, False])
def test_a_wrong_start_is_not_built_upon(ranges: bool, hub: Hub, tiny_bundle: Path, cache: Cache) -> None:
    """Where what is there does not belong to the file, it comes anew; so from a server that knows no ranges."""
    digest = push(tiny_bundle, parse_target(TARGET))
    hub.knows_ranges = ranges
    partial = cache.partial(digest)
    shutil.copytree(tiny_bundle, partial)
    (partial / LARGE).write_bytes(b"wrong")
    (partial / "golden.jsonl").write_bytes((tiny_bundle / "golden.jsonl").read_bytes()[:-7])
    (partial / "stray").write_text("stray")
    folder = fetch(parse_target(TARGET), cache)
    assert (folder / LARGE).read_bytes() == (tiny_bundle / LARGE).read_bytes()
    assert not (folder / "stray").exists()


@pytest.mark.slow
def test_several_at_once(hub: Hub, tiny_bundle: Path, tmp_path: Path) -> None:
    """Three processes pull; one downloads."""
    push(tiny_bundle, parse_target(TARGET))
    processes = [start_pull(tmp_path / f"out{number}") for number in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert hub.sent[LARGE] == (tiny_bundle / LARGE).stat().st_size
    assert {manifest_of(tmp_path / f"out{number}").digest for number in range(3)} == {manifest_of(tiny_bundle).digest}


def test_a_lock_waits(cache: Cache) -> None:
    """Whoever comes second goes on after the first."""
    order = []
    with cache.lock("x"):
        second = threading.Thread(target=lambda: [order.append(2) for _ in [cache.lock("x").__enter__()]])
        second.start()
        order.append(1)
    second.join(60)
    assert order == [1, 2]


@pytest.mark.slow
def test_no_room_for_a_cache(hub: Hub, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that cannot be written is a message."""
    push(tiny_bundle, parse_target(TARGET))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNESHIP_CACHE_DIR", str(tmp_path / "file"))
    process = start_pull(tmp_path / "out")
    _, messages = process.communicate()
    assert process.returncode == 1
    assert b"set TUNESHIP_CACHE_DIR" in messages
    assert b"Traceback" not in messages


def test_an_upload_that_breaks_off_is_not_seen(hub: Hub, tiny_bundle: Path, tmp_path: Path) -> None:
    """A commit is whole, or is none."""
    hub.token = "hf_after"
    with pytest.raises(StoreError):
        push(tiny_bundle, parse_target(TARGET))
    assert hub.repos == {}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError):
        pull(parse_target(TARGET), tmp_path / "out")
