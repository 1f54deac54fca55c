"""The states of an unfinished run at another place, from which a new machine goes on.

Beside the place of the finished run are ``states/NUMBER.json``, a list of files that is written last, and
``states/objects/SHA256``, the files by their content: what two states share is uploaded once, and no file that a state
lists is ever changed. The newest two states are kept, so that there is a whole one whatever breaks off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from serving.bundle.manifest import FileEntry
from serving.errors import InputError
from stores.errors import Missing, StoreError
from stores.kinds.paths import Folder
from stores.kinds.paths import open_store as open_folder
from stores.pull import download
from stores.runs.finished import LEFT_OUT, STATES
from stores.runs.index import INDEX, Index, entry_of, read_index
from stores.store import describe_missing
from stores.targets import OWN, Target, parse_target, scrub

KEPT = 2
OBJECTS = "objects"
MARK = "states.json"
"""Says that states are kept here, and shows that the place can be written before a training begins."""

ACCEPTED = "s3://BUCKET/PATH, gs://BUCKET/PATH, file:///PATH or another path of fsspec's"
_NUMBERED = re.compile(r"(\d{8,18})\.json")


@dataclass(frozen=True)
class _Objects:
    """Files by the names that a list gives them."""

    folder: Folder
    files: Mapping[str, FileEntry]

    def sizes(self) -> Mapping[str, int]:
        return {name: entry.size for name, entry in self.files.items()}

    def read(self, name: str, start: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        return self.folder.read(_object(self.files[name]), start)


@dataclass(frozen=True)
class KeptRun:
    """A run as a place has it, finished or a state of it; ``title`` says which."""

    title: str
    target: Target
    folder: Folder
    index: str

    def files(self) -> Mapping[str, FileEntry]:
        """What it lists; raises StoreError."""
        files = read_index(self.folder, self.index, self.target)[0].files
        if unsafe := [name for name in files if any(Path(name).match(pattern) for pattern in LEFT_OUT)]:
            raise StoreError(f"{self.target}: {self.title} names a file {unsafe[0]!r}, which no run has")
        return files

    def fetch(self, files: Mapping[str, FileEntry], folder: Path) -> None:
        """Bring these into a folder; what is there already is only checked. Raises StoreError for altered ones."""
        snapshot = self.folder if self.index == INDEX else _Objects(self.folder, files)
        download(snapshot, files, folder, self.target)


class StatesPlace:
    """Where one run is kept while it is trained. Methods raise StoreError."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._root, self._states = _open(target), _open(replace(target, name=f"{target.name}/{STATES}"))

    def prepare(self, folder: Path) -> None:
        """Leave a mark there; ``folder`` is a temporary one."""
        (folder / MARK).write_text('{"schema_version": 1}\n')
        self._states.add(folder, [MARK])

    def kept(self) -> list[KeptRun]:
        """The finished run, the newest state, and those before; raises StoreError where something else lies."""
        names = _sizes(self._root).keys()
        others = sorted(name for name in names if not name.startswith(f"{STATES}/"))
        if others and INDEX not in names:
            raise StoreError(
                f"{self.target}: holds something else than a run ({', '.join(others[:3])}); give another --state-to"
            )
        finished = [KeptRun("the finished run", self.target, self._root, INDEX)] if INDEX in names else []
        return [*finished, *map(self._state, _numbers(_sizes(self._states)))]

    def save(self, folder: Path) -> None:
        """Upload what is in ``folder``, which loses its files, as the newest state; older ones go then."""
        there = _sizes(self._states)
        numbers = _numbers(there)
        number = max(numbers, default=0) + 1
        files = {path.relative_to(folder).as_posix(): entry_of(path) for path in _files(folder)}
        objects = {_object(entry): name for name, entry in files.items()}
        (folder / OBJECTS).mkdir()
        for place, name in objects.items():
            (folder / name).rename(folder / place)
        (folder / _name(number)).write_bytes(Index(files=files).to_bytes())
        missing = sorted(place for place, name in objects.items() if there.get(place) != files[name].size)
        self._states.add(folder, [*missing, _name(number)])
        self._prune([number, *numbers])

    def clear(self, *, finished: bool = False) -> None:
        """Remove all states, lists first, and the finished run's list with ``finished``."""
        if finished:
            self._root.remove([INDEX])
        self._states.remove(sorted(_sizes(self._states), key=lambda name: (name.startswith(OBJECTS), name)))

    def _prune(self, numbers: Sequence[int]) -> None:
        """Only what old states list is removed: what another upload has brought and not listed yet stays."""
        kept, old = numbers[:KEPT], numbers[KEPT:]
        if not old:
            return
        needed, listed = set().union(*map(self._objects, kept)), set[str]()
        for number in old:
            with suppress(StoreError):  # a list that somebody altered
                listed |= self._objects(number)
        self._states.remove([*map(_name, old), *sorted(listed - needed)])

    def _objects(self, number: int) -> set[str]:
        return {_object(entry) for entry in self._state(number).files().values()}

    def _state(self, number: int) -> KeptRun:
        return KeptRun(f"state {number}", self.target, self._states, _name(number))


def open_place(text: str) -> StatesPlace:
    """Raises InputError, and StoreError where the package for the protocol is not installed."""
    target = parse_target(text) if "://" in text else None
    if target is None or target.kind in OWN or target.digest:
        raise InputError(f"--state-to {scrub(text)}: is no place for states; give {ACCEPTED}", field="--state-to")
    return StatesPlace(target)


def _open(target: Target) -> Folder:
    try:
        return open_folder(target)
    except ImportError as error:
        raise StoreError(f"{target}: {describe_missing(error)}") from error


def _sizes(folder: Folder) -> Mapping[str, int]:
    try:
        return folder.sizes()
    except Missing:
        return {}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _numbers(names: Iterable[str]) -> list[int]:
    """Newest first."""
    return sorted((int(each[1]) for each in map(_NUMBERED.fullmatch, names) if each), reverse=True)


def _name(number: int) -> str:
    return f"{number:08d}.json"


def _object(entry: FileEntry) -> str:
    return f"{OBJECTS}/{entry.sha256}"
