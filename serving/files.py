"""Reading and replacing files at paths that others can prepare: no device, no pipe, no planted link."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO

from serving.errors import did_you_mean

_ROOM, _RIGHTS = "make room there, or write elsewhere", "change its permissions, or write elsewhere"
REMEDIES = {
    errno.ENOSPC: _ROOM, errno.EDQUOT: _ROOM, errno.EFBIG: "allow larger files there, or write elsewhere",
    errno.EROFS: "write elsewhere", errno.EACCES: _RIGHTS, errno.EPERM: _RIGHTS,
    errno.ENOTDIR: "give another path", errno.EISDIR: "give another path", errno.ELOOP: "give another path",
    errno.ENAMETOOLONG: "give a shorter path", errno.EMFILE: "raise ulimit -n", errno.ENFILE: "raise fs.file-max",
    errno.EIO: "the disk fails: write elsewhere",
}  # fmt: skip
"""By errno; errors that are a fault of the program are not among them."""

TEMPORARY = ".tuneship-*.part"
"""A killed process leaves such a file."""


def read_regular(path: Path, most: int) -> bytes:
    """A regular file's bytes. Raises OSError, also for another kind of file and for more than ``most`` bytes."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return content


@contextmanager
def open_regular(path: Path, *, follow: bool = True) -> Iterator[BufferedReader]:
    """A regular file to read. Raises OSError, also for another kind of file, and without ``follow`` for a link."""
    require_regular(path, path.stat(follow_symlinks=follow))
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    with os.fdopen(os.open(path, flags), "rb") as file:
        require_regular(path, os.fstat(file.fileno()))  # it may have been exchanged
        yield file


def require_regular(path: Path, status: os.stat_result) -> None:
    """Raises OSError."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


@contextmanager
def replace_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for ``path``'s new content, which is there at the end, whole; after an error ``path`` is as it was.

    Raises OSError, also where ``path`` is a folder, a device or a pipe. A link is replaced, not followed.
    """
    if path.exists():
        require_regular(path, path.stat())
    partial = path.with_name(TEMPORARY.replace("*", secrets.token_hex(8)))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(partial, flags, 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):  # what failed first is what is told
            partial.unlink()
        if isinstance(error, OSError) and error.filename in (None, partial, str(partial)):
            error.filename, error.filename2 = str(path), None
        raise


def nearest_path(path: Path) -> str:
    """``; did you mean X?`` for an entry of the folder whose name is nearest to a path's that is not there, or nothing.

    Where a folder on the way is missing, its name is compared.
    """
    missing = path
    while not missing.parent.is_dir() and missing.parent != missing:
        missing = missing.parent
    try:
        names = [entry.name for entry in os.scandir(missing.parent)]
    except OSError:
        return ""
    hint = did_you_mean(missing.name, names)
    return hint.replace("did you mean ", f"did you mean {missing.parent}/") if hint and missing.parent.name else hint


def explain(error: Exception) -> str | None:
    """What is wrong with which file, and what to do; None for what is no fault of files. Rust's errors are texts."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if number not in REMEDIES:
        return None
    name = getattr(error, "filename", None) or "a file"
    return f"{name}: {os.strerror(number).lower()}; {REMEDIES[number]}"
