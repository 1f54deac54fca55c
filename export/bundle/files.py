"""The files that an export writes into a bundle, besides those that serving names."""

from __future__ import annotations

from pathlib import Path

from serving.bundle.bundle import sha256_of
from serving.bundle.manifest import MANIFEST, FileEntry

TOKENIZER, GOLDEN, PARITY, BOM = "tokenizer.json", "golden.jsonl", "parity.json", "bom.cdx.json"
SEARCH, FIGURE = "variants.json", "variants.svg"


def hash_files(folder: Path) -> dict[str, FileEntry]:
    """Size and sha256 of every file in the folder except the manifest."""
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    return {path.name: FileEntry(sha256=sha256_of(path), size=path.stat().st_size) for path in files}
