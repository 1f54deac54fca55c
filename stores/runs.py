"""Runs at other places: a folder's files, and a list of them with their hashes, which a push writes last."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.bundle.bundle import MOST_MANIFEST_BYTES, sha256_of
from serving.bundle.manifest import FileEntry
from serving.errors import InputError, first_problem
from serving.files import TEMPORARY, open_regular
from stores.cache import Cache
from stores.errors import Missing, StoreError
from stores.folders import check_output, replace_folder, staging_folder
from stores.pull import Advance, download, pull, read_bounded
from stores.push import HARMLESS
from stores.store import Store, open_store
from stores.targets import Target

INDEX = "files.json"
RECORD = "run.json"
LEFT_OUT = ("training.lock", INDEX, TEMPORARY)
"""What belongs to this machine."""

TRACKING = "tracking"
"""The folder of experiment trackers, which have their own ways to a server, and links inside."""


class Index(BaseModel):
    """The content of files.json; its sha256 is the run's digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    files: dict[str, FileEntry]

    def to_bytes(self) -> bytes:
        return (self.model_dump_json(indent=2) + "\n").encode()


def is_run(folder: Path) -> bool:
    return (folder / RECORD).is_file()


def push_run(folder: Path, target: Target, *, overwrite: bool = False) -> str:
    """Upload a finished run; returns its digest. Raises InputError for a link, StoreError."""
    store = open_store(target)
    with tempfile.TemporaryDirectory(prefix="tuneship-") as parent:
        copy = Path(parent) / "run"
        index = _copy(folder.resolve(), copy)
        content = index.to_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if target.digest not in (None, digest):
            raise StoreError(f"{folder}: has sha256 {digest}, and the target asks for {target.digest}")
        stale = _refuse_other(store, target, content, index, overwrite)
        (copy / INDEX).write_bytes(content)
        store.write(copy, [*index.files, INDEX], stale)
    return digest


def pull_any(target: Target, output: Path, advance: Advance = lambda _: None) -> str:
    """Pull a bundle, or a run where there is one. Raises as `stores.pull.pull`."""
    try:
        return pull(target, output, advance)
    except Missing as error:
        try:
            return _pull_run(target, output, advance)
        except Missing:
            raise error from None


def _pull_run(target: Target, output: Path, advance: Advance) -> str:
    check_output(output, "run", RECORD)
    snapshot = open_store(target).snapshot()
    content = read_bounded(snapshot, INDEX, MOST_MANIFEST_BYTES)
    digest, index = hashlib.sha256(content).hexdigest(), _parse(content, target)
    if target.digest not in (None, digest):
        raise StoreError(f"{target}: has the run sha256 {digest}, asked for is {target.digest}")
    cache = Cache.of_user()
    partial = cache.partial(digest)
    with cache.lock(digest), staging_folder(output) as folder:
        partial.mkdir(parents=True, exist_ok=True, mode=0o700)
        download(snapshot, index.files, partial, target, advance)  # what is there already is checked only
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
        files[name.as_posix()] = FileEntry(sha256=sha256_of(copy / name), size=(copy / name).stat().st_size)
    return Index(files=files)


def _parse(content: bytes, target: Target) -> Index:
    try:
        return Index.model_validate_json(content)
    except ValidationError as error:
        raise StoreError(f"{target}: {INDEX} lists no files ({first_problem(error)}); push the run again") from None


def _refuse_other(store: Store, target: Target, content: bytes, index: Index, overwrite: bool) -> list[str]:
    """The names that an older run has and this one has not; an interrupted push of this run goes on."""
    try:
        snapshot = store.snapshot()
        present = snapshot.sizes().keys() - {*HARMLESS}
    except Missing:
        return []
    older = _parse(read_bounded(snapshot, INDEX, MOST_MANIFEST_BYTES), target) if INDEX in present else None
    same = older is not None and older.to_bytes() == content
    foreign = present - index.files.keys() - ({*older.files, INDEX} if older else set())
    if not overwrite and not same and ((older and not store.versioned) or foreign):
        raise StoreError(f"{target}: has another run or something else already; give another target, or --overwrite")
    return sorted((present & (older.files.keys() if older else set())) - index.files.keys())
