"""The files that an export writes."""

from __future__ import annotations

from pathlib import Path

from serving.bundle.bundle import sha256_of
from serving.bundle.manifest import MANIFEST, FileEntry

TOKENIZER, GOLDEN, PARITY, BOM = "tokenizer.json", "golden.jsonl", "parity.json", "bom.cdx.json"
SEARCH, FIGURE = "variants.json", "variants.svg"
RELIABILITY = "calibration.svg"


def hash_files(folder: Path) -> dict[str, FileEntry]:
    """All but the manifest."""
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    return {path.name: FileEntry(sha256=sha256_of(path), size=path.stat().st_size) for path in files}
