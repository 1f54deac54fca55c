"""A list of files with their hashes, which is written when all of them are there."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.bundle.bundle import MOST_MANIFEST_BYTES, sha256_of
from serving.bundle.manifest import FileEntry
from serving.errors import first_problem
from stores.errors import StoreError
from stores.pull import read_bounded
from stores.store import Snapshot
from stores.targets import Target

INDEX = "files.json"
"""Its name beside a finished run."""


class Index(BaseModel):
    """The content of the list; its sha256 is the digest of what it lists."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    files: dict[str, FileEntry]

    def to_bytes(self) -> bytes:
        return (self.model_dump_json(indent=2) + "\n").encode()


def entry_of(path: Path) -> FileEntry:
    return FileEntry(sha256=sha256_of(path), size=path.stat().st_size)


def read_index(snapshot: Snapshot, name: str, target: Target) -> tuple[Index, str]:
    """With its digest; raises Missing, StoreError."""
    content = read_bounded(snapshot, name, MOST_MANIFEST_BYTES)
    try:
        return Index.model_validate_json(content), hashlib.sha256(content).hexdigest()
    except ValidationError as error:
        raise StoreError(f"{target}: {name} lists no files ({first_problem(error)}); push the run again") from None
