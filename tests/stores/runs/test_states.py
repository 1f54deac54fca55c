"""States at a place: whole or not to be seen, shared files once, old ones gone, nothing but what was listed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from serving.errors import InputError
from stores.errors import StoreError
from stores.runs.states import KEPT, KeptRun, StatesPlace, open_place

HERE = "memory://states/one"


def save(place: StatesPlace, folder: Path, **files: str) -> None:
    """A state of these files, whose names have dots for double underscores."""
    folder.mkdir()
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(content)
    place.save(folder)


def fetched(kept: KeptRun, folder: Path) -> dict[str, str]:
    """What arrives of a state."""
    folder.mkdir()
    kept.fetch(kept.files(), folder)
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "file", "s3", "gs"])
def test_there_and_back(kind: str, place: Callable[[str], str], tmp_path: Path) -> None:
    """The newest comes first, with exactly its files; of the older ones one is kept, and its own files go with it."""
    target = place(kind)
    states = open_place(target)
    states.prepare(tmp_path)
    for number in range(4):
        save(states, tmp_path / str(number), run__json="{}", weights=f"weights {number}", best="the same")
    kept = states.kept()
    assert [each.title for each in kept] == ["state 4", "state 3"]
    assert fetched(kept[0], tmp_path / "out") == {"run.json": "{}", "weights": "weights 3", "best": "the same"}
    assert fetched(kept[1], tmp_path / "before")["weights"] == "weights 2"
    files, root = fsspec.core.url_to_fs(f"{target}/states/objects")
    assert len(files.find(root)) == KEPT + 2  # the record, the best weights, and the last ones of each state
    states.clear()
    assert states.kept() == []


def test_a_file_that_two_states_share_is_uploaded_once(
    memory: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best checkpoint stays the same for many states."""
    states, written = open_place(HERE), list[str]()
    put_file = type(fsspec.filesystem("memory")).put_file
    monkeypatch.setattr(
        type(fsspec.filesystem("memory")),
        "put_file",
        lambda files, source, path: written.append(path) or put_file(files, source, path),
    )
    save(states, tmp_path / "1", weights="first", best="the same")
    save(states, tmp_path / "2", weights="second", best="the same")
    assert len([path for path in written if "objects" in path]) == 3


def test_a_broken_upload_is_not_to_be_seen(
    memory: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its list would come last; the next upload takes what is there already, if it is whole."""
    states = open_place(HERE)
    save(states, tmp_path / "1", weights="first")
    put_file = type(fsspec.filesystem("memory")).put_file

    def break_off(files: fsspec.AbstractFileSystem, source: str, path: str) -> None:
        put_file(files, source, path)
        files.pipe_file(path, b"seco")
        raise ConnectionResetError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(type(fsspec.filesystem("memory")), "put_file", break_off)
        with pytest.raises(StoreError, match=r"memory://states/one/states: cannot be reached"):
            save(states, tmp_path / "2", weights="second")
    assert [each.title for each in states.kept()] == ["state 1"]
    save(states, tmp_path / "again", weights="second")
    assert fetched(states.kept()[0], tmp_path / "out") == {"weights": "second"}


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/../../x", "training.lock"])
def test_unsafe_names(memory: dict[str, object], tmp_path: Path, name: str) -> None:
    """Whoever writes there cannot write elsewhere on this machine, nor into the folder's lock."""
    states = open_place(HERE)
    save(states, tmp_path / "1", weights="first")
    files = fsspec.filesystem("memory")
    index = json.loads(files.cat_file("/states/one/states/00000001.json"))
    index["files"][name] = index["files"].pop("weights")
    files.pipe_file("/states/one/states/00000001.json", json.dumps(index).encode())
    with pytest.raises(StoreError, match=r"no path below a folder|which no run has"):
        fetched(states.kept()[0], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_altered_there(memory: dict[str, object], tmp_path: Path) -> None:
    """A file of another content, and a list that is none."""
    states, files = open_place(HERE), fsspec.filesystem("memory")
    save(states, tmp_path / "1", weights="first")
    [path] = files.find("/states/one/states/objects")
    files.pipe_file(path, b"other")
    with pytest.raises(StoreError, match="weights is not the file that was pushed"):
        fetched(states.kept()[0], tmp_path / "out")
    files.pipe_file("/states/one/states/00000001.json", b"[]")
    with pytest.raises(StoreError, match="lists no files"):
        states.kept()[0].files()


def test_something_else_is_left_alone(memory: dict[str, object]) -> None:
    """A place with files of somebody else keeps no states."""
    fsspec.filesystem("memory").pipe_file("/states/one/thesis.tex", b"...")
    with pytest.raises(StoreError, match=r"holds something else than a run \(thesis\.tex\); give another --state-to"):
        open_place(HERE).kept()


@pytest.mark.parametrize("url", ["runs/states", "hf:team/one", "oci:host/one:1", "hf://team/one", "bento:one:1"])
def test_no_place_for_states(url: str) -> None:
    """Paths without a scheme, and places that keep bundles."""
    with pytest.raises(InputError, match=r"is no place for states; give s3://BUCKET/PATH"):
        open_place(url)


def test_the_package_to_install_is_named() -> None:
    """Azure's is not among the extras: fsspec says its name."""
    with pytest.raises(StoreError, match=r"az://box/one: needs a package that is not installed: .*adlfs"):
        open_place("az://box/one")
    with pytest.raises(InputError, match=r"carrier-pigeon:// is no kind of place"):
        open_place("carrier-pigeon://box/one")


def test_no_secret_is_shown() -> None:
    """A URL's user, password and query stay out of messages."""
    with pytest.raises(StoreError) as caught:
        open_place("az://me:hunter2@box/one?sig=s3cret")
    assert "hunter2" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
