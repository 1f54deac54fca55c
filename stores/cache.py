"""What was pulled, by its digest: checked, whole, and shared by every process of a user."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.bundle.bundle import Bundle
from serving.errors import BundleError
from serving.settings.settings import cache_folder
from stores.errors import StoreError


class Cache:
    """``bundles/DIGEST`` are whole, ``partial/DIGEST`` are what a pull has so far; ``data/KEY`` are data files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of_user(cls) -> Cache:
        return cls(cache_folder())

    def bundle(self, digest: str) -> Path:
        return self.root / "bundles" / digest

    def data(self, key: str) -> Path:
        """The folder of a data file."""
        return self.root / "data" / key

    def partial(self, digest: str) -> Path:
        return self.root / "partial" / digest

    def find(self, digest: str) -> Path | None:
        """A bundle whose files were checked now, so that whoever wrote into the cache is found out."""
        folder = self.bundle(digest)
        if not folder.is_dir():
            return None
        try:
            return folder if Bundle.open(folder).digest == digest else None
        except BundleError:
            return None

    def add(self, digest: str) -> Path:
        """The partial bundle, whole by now, in the place of one that was altered; raises BundleError where it is not.

        Hold the lock.
        """
        partial, folder = self.partial(digest), self.bundle(digest)
        Bundle.open(partial)
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        return folder

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """One process at a time; the others wait. It ends with its process. Raises StoreError."""
        locks = self.root / "locks"
        try:
            locks.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                f"{self.root}: the cache cannot be written there ({error.strerror}); set TUNESHIP_CACHE_DIR to a folder"
                " that can"
            ) from None
        with os.fdopen(os.open(locks / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
