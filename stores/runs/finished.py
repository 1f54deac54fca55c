"""Runs at other places: a folder's files, and a list of them with their hashes, which a push writes last."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.errors import InputError
from serving.files import TEMPORARY, open_regular
from stores.cache import Cache
from stores.errors import Missing, StoreError
from stores.folders import check_output, replace_folder, staging_folder
from stores.pull import download, pull
from stores.push import HARMLESS
from stores.runs.index import INDEX, Index, entry_of, read_index
from stores.store import Store, open_store
from stores.targets import Target

RECORD = "run.json"
LEFT_OUT = ("training.lock", INDEX, TEMPORARY)
"""What belongs to this machine."""

STATES = "states"
"""The folder of an unfinished run's states, beside which the finished one may lie."""

TRACKING = "tracking"
"""The folder of experiment trackers, which have their own ways to a server, and links inside."""


def is_run(folder: Path) -> bool:
    return (folder / RECORD).is_file()


def push_run(folder: Path, target: Target, *, overwrite: bool = False) -> str:
    """Upload a finished run, unless it is there already; returns its digest.

    Raises InputError for a link, StoreError.
    """
    store = open_store(target)
    with tempfile.TemporaryDirectory(prefix="tuneship-") as parent:
        copy = Path(parent) / "run"
        index = _copy(folder.resolve(), copy)
        content = index.to_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if target.digest not in (None, digest):
            raise StoreError(f"{folder}: has sha256 {digest}, and the target asks for {target.digest}")
        present = _Present.at(store, target)
        if present.holds(index):
            return digest
        stale = _refuse_other(present, store, target, index, overwrite)
        (copy / INDEX).write_bytes(content)
        store.write(copy, [*index.files, INDEX], stale)
    return digest


def pull_any(target: Target, output: Path) -> str:
    """Pull a bundle, or a run where there is one. Raises as `stores.pull.pull`."""
    try:
        return pull(target, output)
    except Missing as error:
        try:
            return _pull_run(target, output)
        except Missing:
            raise error from None


def _pull_run(target: Target, output: Path) -> str:
    check_output(output, "run", RECORD)
    snapshot = open_store(target).snapshot()
    index, digest = read_index(snapshot, INDEX, target)
    if target.digest not in (None, digest):
        raise StoreError(f"{target}: has the run sha256 {digest}, asked for is {target.digest}")
    cache = Cache.of_user()
    partial = cache.partial(digest)
    with cache.lock(digest), staging_folder(output) as folder:
        partial.mkdir(parents=True, exist_ok=True, mode=0o700)
        download(snapshot, index.files, partial, target)  # what is there already is checked only
        shutil.copytree(partial, folder, dirs_exist_ok=True)
        replace_folder(output, folder)
    return digest


def _copy(folder: Path, copy: Path) -> Index:
    """As they are now, whatever writes into the folder meanwhile; raises InputError for a link."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] == TRACKING:
            continue
        if path.is_symlink():
            raise InputError(f"{path}: is a link, which is not followed; copy the file itself")
        if path.is_dir() or any(name.match(pattern) for pattern in LEFT_OUT):
            continue
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        with open_regular(path, follow=False) as source, (copy / name).open("wb") as file:
            shutil.copyfileobj(source, file)
        files[name.as_posix()] = entry_of(copy / name)
    return Index(files=files)


@dataclass(frozen=True)
class _Present:
    """What a target has: the list of a run, if any, and the bytes of every file by name, states left out."""

    index: Index | None
    sizes: Mapping[str, int]

    @classmethod
    def at(cls, store: Store, target: Target) -> _Present:
        try:
            snapshot = store.snapshot()
            sizes = {name: size for name, size in snapshot.sizes().items() if not name.startswith(f"{STATES}/")}
        except Missing:
            return cls(None, {})
        return cls(read_index(snapshot, INDEX, target)[0] if INDEX in sizes else None, sizes)

    def holds(self, index: Index) -> bool:
        files = {name: entry.size for name, entry in index.files.items()}
        return self.index == index and files.items() <= self.sizes.items()


def _refuse_other(present: _Present, store: Store, target: Target, index: Index, overwrite: bool) -> list[str]:
    """The names that an older run has and this one has not; an interrupted push of this run goes on."""
    older = present.index
    named = {*older.files, INDEX} if older else set()
    foreign = present.sizes.keys() - index.files.keys() - named - {*HARMLESS}
    if not overwrite and older != index and ((older and not store.versioned) or foreign):
        raise StoreError(f"{target}: has another run or something else already; give another target, or --overwrite")
    return sorted((present.sizes.keys() & (older.files.keys() if older else set())) - index.files.keys())
