"""Data files that a recipe names by a URL: brought to the cache, once for each version that the place tells of."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import fsspec

from serving.bundle.bundle import sha256_of
from serving.errors import InputError
from stores.cache import Cache
from stores.errors import Missing, StoreError, readable
from stores.kinds.paths import BYTES_AT_ONCE, explain
from stores.store import describe_missing
from stores.targets import OWN, Target, is_target, scrub

MARKS = ("ETag", "etag", "LastModified", "mtime", "created", "generation", "md5Hash", "last_commit", "size")
"""What file systems tell of a version; ``size`` alone is none."""

ACCEPTED = "s3://, gs://, https://, hf://datasets/… or another URL of fsspec's"


def local_file(text: str) -> Path:
    """A path as it is; of a URL the cached file, which has its name. Raises StoreError, InputError.

    One process reads one version of it. ``URL#sha256=DIGEST`` is the file with this content and no other.
    """
    return _fetch(text, Cache.of_user().root) if is_target(text) else Path(text)


@functools.cache
def _fetch(text: str, root: Path) -> Path:
    url, _, pin = text.partition("#")
    name = _file_name(url)
    if pin and not re.fullmatch(r"sha256=[0-9a-f]{64}", pin):
        raise InputError(f"{scrub(text)}: after # a URL takes sha256= and 64 hexadecimal digits")
    kind, _, rest = url.partition("://")
    target, digest = Target(kind, rest), pin.removeprefix("sha256=")
    cache = Cache(root)
    if digest and (found := _pinned(cache, digest, name)):
        return found
    with _reading(target):
        files, path = fsspec.core.url_to_fs(url)
        marks = _marks(files.info(path))
    folder = cache.data(digest or _key(url, marks))
    with cache.lock(folder.name):
        if digest or not marks or not (folder / name).is_file():
            _download(files, path, folder, name, target, digest)
    return folder / name


def _file_name(url: str) -> str:
    """Raises InputError for a URL that is none of a file, or that holds a secret: a run keeps its recipe."""
    if scrub(url) != url:
        raise InputError(
            f"{scrub(url)}: holds a password, a token or a query, which the run's files would keep; leave it out, and"
            " set the credentials of the client's own environment"
        )
    place = urlsplit(url)
    if place.scheme in OWN and not url.startswith("hf://"):
        raise InputError(f"{url}: a data file is named by {ACCEPTED}")
    name = PurePosixPath(unquote(place.path) or place.netloc).name
    if not place.scheme or url.endswith("/") or name in ("", "..") or "/" in name or "\0" in name:
        raise InputError(f"{url}: names no file; give {ACCEPTED}")
    return name


def _pinned(cache: Cache, digest: str, name: str) -> Path | None:
    path = cache.data(digest) / name
    return path if path.is_file() and sha256_of(path) == digest else None


@contextmanager
def _reading(target: Target) -> Iterator[None]:
    try:
        with readable(target, _explain):
            yield
    except Missing as error:
        raise InputError(f"{target}: there is no such file") from error


def _explain(error: Exception) -> str | None:
    return describe_missing(error) if isinstance(error, ImportError) else explain(error)


def _marks(info: dict[str, Any]) -> dict[str, str]:
    """Empty where the place tells nothing by which versions differ: then it is downloaded each time."""
    marks = {name: str(info[name]) for name in MARKS if info.get(name) is not None}
    return marks if marks.keys() - {"size"} else {}


def _key(url: str, marks: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps([url, sorted(marks.items())]).encode()).hexdigest()


def _download(files: Any, path: str, folder: Path, name: str, target: Target, digest: str) -> None:
    """Whole or not at all; raises StoreError where it is not the file of ``digest``."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _reading(target), files.open(path, "rb") as source, (partial / name).open("wb") as file:
        shutil.copyfileobj(source, file, BYTES_AT_ONCE)
    if digest and (found := sha256_of(partial / name)) != digest:
        shutil.rmtree(partial)
        raise StoreError(f"{target}: has the content sha256 {found}, asked for is {digest}")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
