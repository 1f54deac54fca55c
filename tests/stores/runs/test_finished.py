"""A run is pushed and pulled as a bundle is: whole, checked, and no other one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import InputError
from stores.cache import Cache
from stores.errors import StoreError
from stores.runs.finished import pull_any, push_run
from stores.runs.index import INDEX
from stores.targets import parse_target
from tests.stores.test_round_trip import contents
from tests.test_cli import assert_refused, tuneship_here
from trainer.run.lock import require_locked
from trainer.run.run import Run

HERE = parse_target("memory://runs/one")


def copied(run: Run, folder: Path) -> Path:
    """A copy beside the original, as deep, so that its relative paths hold."""
    return Path(shutil.copytree(run.root, folder / "copy"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "file", "s3", "hf", "oci"])
def test_there_and_back(
    kind: str,
    place: Callable[[str], str],
    tiny_run: Run,
    tmp_path: Path,
    cache: Cache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What arrives is the run, and it is downloaded once."""
    target = parse_target(place(kind))
    digest = push_run(tiny_run.root, target)
    assert push_run(tiny_run.root, target) == digest
    assert pull_any(target, tmp_path / "out") == digest
    assert contents(tmp_path / "out") == contents(tiny_run.root)
    require_locked(Run.open(tmp_path / "out"))
    monkeypatch.delattr("stores.pull._append")  # which writes what is downloaded
    pull_any(parse_target(f"{target.url}#sha256={digest}"), tmp_path / "again")


def test_trackers_stay_here(memory: dict[str, object], tiny_run: Run, tmp_path: Path) -> None:
    """What experiment trackers keep in a run, paths and links of this machine among it, is not uploaded."""
    run = copied(tiny_run, tmp_path)
    (run / "tracking" / "wandb").mkdir(parents=True)
    (run / "tracking" / "wandb" / "latest-run").symlink_to(run)
    target = parse_target("memory://runs/tracked")
    assert push_run(run, target) == push_run(tiny_run.root, parse_target("memory://runs/plain"))
    pull_any(target, tmp_path / "out")
    assert not (tmp_path / "out" / "tracking").exists()


def test_commands(memory: dict[str, object], tiny_run: Run, tmp_path: Path) -> None:
    """`push` takes a run only as it was trained; `serve` and others want a bundle."""
    pushed = tuneship_here("push", tiny_run.root, "memory://runs/one")
    assert pushed.returncode == 0, pushed.stderr
    pulled = tuneship_here("pull", "memory://runs/one", "-o", tmp_path / "out")
    assert pulled.returncode == 0, pulled.stderr
    assert_refused(tuneship_here("verify", "memory://runs/one"), "is no bundle")
    (tmp_path / "out" / "checkpoint" / "config.json").write_text("{}")
    assert_refused(tuneship_here("push", tmp_path / "out", "memory://runs/two"), "is not as it was trained")
    assert not [name for name in memory if "two" in name]


def test_altered_there(memory: dict[str, object], tiny_run: Run, tmp_path: Path) -> None:
    """Another content, another digest, an unsafe name."""
    import fsspec

    files = fsspec.filesystem("memory")
    push_run(tiny_run.root, HERE)
    with pytest.raises(StoreError, match="asked for is 000"):
        pull_any(parse_target(f"memory://runs/one#sha256={'0' * 64}"), tmp_path / "out")
    files.pipe_file("/runs/one/report.md", b"other")
    with pytest.raises(StoreError, match=r"report\.md is not the file"):
        pull_any(HERE, tmp_path / "out")
    index = files.cat_file(f"/runs/one/{INDEX}")
    files.pipe_file(f"/runs/one/{INDEX}", index.replace(b'"report.md"', b'"../report.md"'))
    with pytest.raises(StoreError, match="no path below a folder"):
        pull_any(HERE, tmp_path / "out")
    files.pipe_file(f"/runs/one/{INDEX}", b"[]")
    with pytest.raises(StoreError, match="lists no files"):
        pull_any(HERE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_there_stays(memory: dict[str, object], tiny_run: Run, tmp_path: Path) -> None:
    """Another run is replaced only when told, and nothing of it is left; a link is not followed."""
    other = copied(tiny_run, tmp_path)
    (other / "figures" / "old.png").write_bytes(b"old")
    push_run(other, HERE)
    with pytest.raises(StoreError, match="another run or something else"):
        push_run(tiny_run.root, HERE)
    push_run(tiny_run.root, HERE, overwrite=True)
    pull_any(HERE, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tiny_run.root)
    (other / "link").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        push_run(other, parse_target("memory://runs/two"))
