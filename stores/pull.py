"""From a place to the cache: what the manifest names, file by file, each checked; a killed pull goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from serving.bundle.bundle import MOST_MANIFEST_BYTES, sha256_of
from serving.bundle.manifest import MANIFEST, SIGNATURE, FileEntry, Manifest
from serving.bundle.signature import MOST_BYTES as MOST_SIGNATURE_BYTES
from serving.errors import BundleError
from serving.files import replace_file
from serving.observability.progress import open_part
from stores.cache import Cache
from stores.errors import Missing, StoreError
from stores.folders import check_output, replace_folder, staging_folder
from stores.store import Snapshot, at_most, open_store
from stores.targets import Target

Advance = Callable[[int], None]
"""Gets the bytes that came since its last call."""


def pull(target: Target, output: Path) -> str:
    """Copy a bundle into a folder, in the place of an older one; returns its digest.

    Raises InputError where ``output`` holds something else, StoreError, BundleError.
    """
    check_output(output)
    cached = fetch(target, Cache.of_user())
    with staging_folder(output) as folder:
        shutil.copytree(cached, folder, dirs_exist_ok=True)
        replace_folder(output, folder)
    return cached.name


def fetch(target: Target, cache: Cache, checked: Path | None = None) -> Path:
    """The cached bundle of a target; one whose digest is given and which is there asks nobody.

    The folder ``checked`` is not checked again.

    Raises StoreError for what is no bundle or another one, BundleError for what was altered.
    """
    if target.digest and (found := _find(cache, target.digest, checked)):
        return found
    snapshot = open_store(target).snapshot()
    content, manifest = read_manifest(snapshot, target)
    if target.digest not in (None, manifest.digest):
        raise StoreError(f"{target}: has the bundle sha256 {manifest.digest}, asked for is {target.digest}")
    signature = _read_signature(snapshot)
    with cache.lock(manifest.digest):
        folder = _find(cache, manifest.digest, checked)
        if folder is None:
            partial = cache.partial(manifest.digest)
            partial.mkdir(parents=True, exist_ok=True, mode=0o700)
            download(snapshot, manifest.files, partial, target)
            _write(partial / MANIFEST, content)
            folder = cache.add(manifest.digest)
        if signature is not None:
            _write(folder / SIGNATURE, signature)
    return folder


def _find(cache: Cache, digest: str, checked: Path | None) -> Path | None:
    return checked if checked == cache.bundle(digest) and checked.is_dir() else cache.find(digest)


def read_manifest(snapshot: Snapshot, target: Target) -> tuple[bytes, Manifest]:
    """Raises Missing, StoreError, and BundleError for a malformed one."""
    try:
        content = read_bounded(snapshot, MANIFEST, MOST_MANIFEST_BYTES)
    except Missing as error:
        raise Missing(
            f"{target}: is no bundle: it has no {MANIFEST}, which a push writes last; check the name, or push it again"
        ) from error
    try:
        return content, Manifest.from_bytes(content)
    except BundleError as error:
        raise BundleError(f"{target}: {error}") from error


def download(snapshot: Snapshot, files: Mapping[str, FileEntry], folder: Path, target: Target) -> None:
    """Bring files of known content into a folder, from where an earlier try ended; nothing else stays in it.

    Raises StoreError for a name that leads out of it, a file that is missing or of other content.
    """
    check_names(files, target)
    for path in [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]:
        if path.is_symlink() or path.relative_to(folder).as_posix() not in files:
            path.unlink()
    size = sum(entry.size for entry in files.values())
    with open_part(f"{size / 1e6:,.1f} MB", size) as part:
        for name, entry in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _download_file(snapshot, name, entry, folder / name, target, part.advance)


def check_names(names: Iterable[str], target: Target) -> None:
    """Raises StoreError for a name that is no path below a folder, or for a file within another file."""
    known = set(names)
    for name in known:
        path = PurePosixPath(name)
        inside = path.parts and not path.is_absolute() and ".." not in path.parts and path.as_posix() == name
        if not inside or name in (MANIFEST, SIGNATURE) or any(str(each) in known for each in path.parents):
            raise StoreError(f"{target}: names a file {name!r}, which is no path below a folder; nothing was written")


def _download_file(
    snapshot: Snapshot, name: str, entry: FileEntry, path: Path, target: Target, advance: Advance
) -> None:
    there = path.stat().st_size if path.exists() else 0
    starts = dict.fromkeys([there, 0]) if there <= entry.size else [0]
    advance(next(iter(starts)))
    for start in starts:  # what an earlier try left may be wrong
        if start < entry.size or start == 0:
            with snapshot.read(name, start) as chunks:
                _append(path, start, chunks, entry.size, advance)
        if path.stat().st_size == entry.size and sha256_of(path) == entry.sha256:
            return
    path.unlink()
    raise StoreError(
        f"{target}: {name} is not the file that was pushed: it was altered, or only half of it is there; push it again"
    )


def _append(path: Path, start: int, chunks: Iterable[bytes], size: int, advance: Advance) -> None:
    """One byte above ``size`` at most, so that nobody fills the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.truncate(start)
        file.seek(start)
        for chunk in at_most(chunks, size + 1 - start):
            file.write(chunk)
            file.flush()
            advance(len(chunk))


def read_bounded(snapshot: Snapshot, name: str, most: int) -> bytes:
    """A small file; raises Missing, StoreError."""
    with snapshot.read(name) as chunks:
        content = b"".join(at_most(chunks, most + 1))
    if len(content) > most:
        raise StoreError(f"{name} has more than {most:,} bytes, more than a file of its kind can have")
    return content


def _read_signature(snapshot: Snapshot) -> bytes | None:
    try:
        return read_bounded(snapshot, SIGNATURE, MOST_SIGNATURE_BYTES)
    except Missing:
        return None


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    with replace_file(path) as file:
        file.write(content)
