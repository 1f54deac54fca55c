"""Folders that fsspec reaches: ``s3://``, ``gs://``, ``file://``, ``memory://`` and others.

https://filesystem-spec.readthedocs.io
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from serving.errors import InputError
from stores.errors import Missing, readable
from stores.store import track_files
from stores.targets import ACCEPTED, Target

for _client in ("fsspec", "s3fs", "gcsfs"):  # they log tracebacks of what they raise
    logging.getLogger(_client).setLevel(logging.CRITICAL)

BYTES_AT_ONCE = 8 * 2**20


@dataclass(frozen=True)
class Folder:
    """A folder of a file system; it has no versions."""

    target: Target
    files: Any
    root: str
    versioned: bool = False

    def snapshot(self) -> Folder:
        return self

    def sizes(self) -> Mapping[str, int]:
        with readable(self.target, explain):
            self.files.invalidate_cache()
            found = self.files.find(self.root, detail=True)
        if not found:
            raise Missing(f"{self.target}: there is nothing there; check the name, and that it was pushed whole")
        names = {path.removeprefix(self.root).lstrip("/"): entry["size"] for path, entry in found.items()}
        return {name: size for name, size in names.items() if not name.endswith(".part")}

    @contextmanager
    def read(self, name: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        with readable(self.target, explain), self.files.open(self._path(name), "rb", cache_type="none") as file:
            file.seek(start)
            yield iter(lambda: file.read(BYTES_AT_ONCE), b"")

    def write(self, folder: Path, names: Sequence[str], stale: Sequence[str]) -> None:
        self.remove([names[-1], *stale])  # first, so that nobody reads a mixture
        self.add(folder, names)

    def add(self, folder: Path, names: Sequence[str]) -> None:
        """Upload files that nobody reads yet, in this order; raises StoreError."""
        with readable(self.target, explain):
            for name in track_files(folder, names):
                put_whole(self.files, folder / name, self._path(name))

    def remove(self, names: Sequence[str]) -> None:
        """In this order, those that are there; raises StoreError."""
        with readable(self.target, explain):
            for name in names:
                with suppress(FileNotFoundError):
                    self.files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"


def put_whole(files: Any, source: Path, path: str) -> None:
    """Whole or not at all, which object stores do by themselves."""
    if not isinstance(files, LocalFileSystem):
        files.put_file(str(source), path)
        return
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.put_file(str(source), f"{path}.part")
    Path(f"{path}.part").replace(path)


def open_store(target: Target) -> Folder:
    """Raises ImportError where the extra is not installed, InputError for an unknown scheme."""
    if target.kind not in fsspec.available_protocols():
        raise InputError(f"{target}: {target.kind}:// is no kind of place; give {ACCEPTED}, or a path of fsspec's")
    with readable(target, _pass_import_errors):
        files, root = fsspec.core.url_to_fs(target.url)
    return Folder(target, files, root.rstrip("/"))


def _pass_import_errors(error: Exception) -> None:
    if isinstance(error, ImportError):
        raise error


def explain(error: Exception) -> str | None:
    """The errors of the clients of S3 and Google's storage, which need not be installed, by their names."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "TokenRetrievalError"}:
        return "no credentials were found; set those of the client's own environment, such as AWS_ACCESS_KEY_ID"
    if kinds & {"EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError", "HTTPClientError"}:
        return f"cannot be reached ({type(error).__name__}); check the network and the address"
    if (status := getattr(error, "status", 0) or getattr(error, "code", 0)) in (401, 403):
        return f"access is denied (status {status}); a login may be missing, expired or revoked"
    return _explain_error_number(error) if isinstance(error, OSError) else None


def _explain_error_number(error: OSError) -> str | None:
    """What s3fs and gcsfs make of an answer: a number of the operating system, and a place's own words, if it had any.

    S3 has no words for a question about a file's existence.
    """
    told = str(error).partition("] ")[2] or str(error)
    if told.startswith("Forbidden: "):
        return f"access is denied ({' '.join(told.split())}); a login may be missing, expired or revoked"
    names_region = any(word in told for word in ("region", "location constraint"))
    if error.errno == errno.EREMCHG or (names_region and error.errno in (None, errno.EINVAL)):
        return f"the bucket is in another region ({told}); set AWS_DEFAULT_REGION to it"
    if error.errno == errno.EINVAL:
        return (
            f"the place refuses the question ({told}): a session token may be expired or malformed, or the region"
            " wrong; see AWS_SESSION_TOKEN and AWS_DEFAULT_REGION"
        )
    return f"the place is busy ({told}); try again later" if error.errno == errno.EBUSY else None
