"""One training at a time in a run folder: a file in it is locked by the process that trains.

The lock is the operating system's (flock), so a killed process leaves none behind, only the file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from serving.errors import InputError

LOCK_FILE = "training.lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep every other training out of ``folder``, which is made if it is not there.

    Raises InputError where another process, or another training of this one, is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    with _locked(path, folder):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, folder: Path) -> Iterator[None]:
    while True:
        with path.open("a+", encoding="utf-8") as file:
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
        who = file.read().strip()
        raise InputError(
            f"{folder}: another training{f' (process {who})' if who else ''} is at work in this folder;"
            " wait until it ends, or give another --output"
        ) from None


def _is_at(file: TextIO, path: Path) -> bool:
    """Whether what was locked is still what the path names, and not what its last holder has just removed."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
