"""One training at a time in a folder, by a file lock (flock) that ends with its process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from serving.errors import UserError
from serving.files import require_regular

LOCK_FILE = "training.lock"


class FolderInUse(UserError):
    """Another training is running in the folder."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Raises FolderInUse; ``folder`` is created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    with _locked_file(path, folder):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Where ``folder`` is created inside and still empty when an error leaves, it is removed."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        if not existed:
            with suppress(OSError):  # it is not empty, or was never made
                folder.rmdir()
        raise


@contextmanager
def _locked_file(path: Path, folder: Path) -> Iterator[None]:
    while True:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666), "r+") as file:
            require_regular(path, os.fstat(file.fileno()))
            _lock(file, folder)
            if _is_at(file, path):
                file.truncate(0)
                file.write(f"{os.getpid()}\n")
                file.flush()
                yield
                return


def _lock(file: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        process = file.read().strip()
        raise FolderInUse(
            f"{folder}: another training{f' (process {process})' if process else ''} is running in this folder;"
            " wait until it ends, or give another --output"
        ) from None


def _is_at(file: TextIO, path: Path) -> bool:
    """The last holder may just have removed the file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
