"""Files at a path or at a URL of fsspec's: found, read, and written whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any, cast

import fsspec

from serving.errors import InputError
from serving.files import open_regular, replace_file
from stores.data import MARKS
from stores.errors import Missing, readable
from stores.kinds.paths import explain
from stores.store import describe_missing
from stores.targets import OWN, Target, is_target, scrub

GZIP = b"\x1f\x8b"
HIDDEN = ("_", ".")
"""Names that begin so are no data, as Spark and Hadoop have it."""


def name_of(place: str) -> str:
    return PurePosixPath(place).name


def is_local(place: str) -> bool:
    return not is_target(place)


def join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


@contextmanager
def reaching(place: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path in it; its errors become StoreErrors."""
    kind, _, rest = place.partition("://")
    target = Target(kind, rest)
    if target.kind in OWN or not rest:
        raise InputError(f"{scrub(place)}: files lie at a path, or at s3://, gs:// or another URL of fsspec's")
    with readable(target, lambda error: describe_missing(error) if isinstance(error, ImportError) else explain(error)):
        yield fsspec.core.url_to_fs(place)


def find_files(place: str) -> list[str]:
    """The file itself, the files of a folder and below, or those that a pattern fits, by name; none, if none is there.

    Hidden files are left out, unless the pattern begins as they do.
    """
    if not is_local(place):
        return _find_remote(place)
    path = Path(place)
    if path.is_dir():
        return sorted(
            str(each) for each in path.rglob("*") if each.is_file() and not _is_hidden(each.relative_to(path))
        )
    if path.exists() or not _is_pattern(place):
        return [place] if path.is_file() else []
    base = Path(path.anchor or ".")
    pattern = str(path.relative_to(path.anchor)) if path.anchor else place
    return sorted(str(each) for each in base.glob(pattern) if each.is_file() and _is_meant(each.name, pattern))


def _find_remote(place: str) -> list[str]:
    with reaching(place) as (files, path):
        if files.isfile(path):
            return [place]
        if _is_pattern(path):
            kept = [each for each in files.glob(path) if files.isfile(each) and _is_meant(name_of(each), path)]
        else:
            kept = [each for each in files.find(path) if not _is_hidden(PurePosixPath(each[len(path) :]))]
        return sorted(files.unstrip_protocol(each) for each in kept)


def _is_pattern(text: str) -> bool:
    return any(letter in text for letter in "*?[")


def _is_meant(name: str, pattern: str) -> bool:
    return not name.startswith(HIDDEN) or name_of(pattern).startswith(HIDDEN)


def _is_hidden(path: PurePath) -> bool:
    return any(part.startswith(HIDDEN) for part in path.parts if part != "/")


def describe(place: str) -> tuple[int, dict[str, str]]:
    """A file's size, and what tells its version."""
    if is_local(place):
        status = Path(place).stat()
        return status.st_size, {"mtime": str(status.st_mtime_ns)}
    with reaching(place) as (files, path):
        info = files.info(path)
    return int(info["size"]), {name: str(info[name]) for name in MARKS if info.get(name) is not None}


@contextmanager
def open_file(place: str) -> Iterator[IO[bytes]]:
    """A file to read from anywhere in it; raises OSError, StoreError."""
    if is_local(place):
        with open_regular(Path(place)) as file:
            yield file
        return
    with reaching(place) as (files, path), files.open(path, "rb") as file:
        yield file


@contextmanager
def open_unpacked(place: str) -> Iterator[IO[bytes]]:
    """The same, unpacked where it is gzip; raises InputError where that fails."""
    with open_file(place) as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        if not packed:
            yield file if is_local(place) else cast(IO[bytes], io.BufferedReader(cast(Any, file), 2**20))
            return
        try:
            with gzip.open(file) as unpacked:
                yield cast(IO[bytes], unpacked)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{scrub(place)} cannot be unpacked: {error}; pack it again with gzip") from None


def is_there(place: str) -> bool:
    if is_local(place):
        return Path(place).exists()
    with reaching(place) as (files, path):
        return bool(files.exists(path))


def read(place: str) -> bytes | None:
    """A small file; None where there is none."""
    try:
        with open_file(place) as file:
            return file.read()
    except (FileNotFoundError, Missing):
        return None


@contextmanager
def write_whole(place: str) -> Iterator[IO[bytes]]:
    """A file's new content, there at the end, whole; after an error the file is as it was."""
    if is_local(place):
        with replace_file(Path(place)) as file:
            yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "file"
        with local.open("wb") as file:
            yield file
        with reaching(place) as (files, path):
            files.makedirs(path.rpartition("/")[0], exist_ok=True)
            files.put_file(str(local), path)


@contextmanager
def packed(file: IO[bytes], wanted: bool) -> Iterator[IO[bytes]]:
    """The file, or what packs into it with gzip."""
    if not wanted:
        yield file
        return
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packing:
        yield cast(IO[bytes], packing)


def make_folder(place: str) -> None:
    """A local one is this user's own: nobody else has put answers there. Raises InputError."""
    if not is_local(place):
        return
    path = Path(place)
    path.mkdir(exist_ok=True)
    status = path.lstat()
    if path.is_symlink() or status.st_uid != os.geteuid():
        raise InputError(f"{path} is not a folder that this user has made; remove it, or choose another --output")


def list_names(folder: str) -> list[str]:
    """Of the files in a folder."""
    if is_local(folder):
        return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).is_dir() else []
    with reaching(folder) as (files, path):
        files.invalidate_cache()
        return sorted(name_of(each) for each in files.find(path, maxdepth=1)) if files.exists(path) else []


def remove(folder: str, names: list[str]) -> None:
    """Files of a folder that are there."""
    for name in names:
        with suppress(FileNotFoundError, Missing):
            if is_local(folder):
                (Path(folder) / name).unlink()
            else:
                with reaching(join(folder, name)) as (files, path):
                    files.rm_file(path)


def remove_folder(folder: str) -> None:
    """One that is empty; object stores have none."""
    if is_local(folder):
        with suppress(OSError):
            Path(folder).rmdir()
